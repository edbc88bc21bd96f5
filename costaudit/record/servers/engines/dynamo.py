"""NVIDIA Dynamo's frontend: exports the batch limits of its workers, unlike vLLM itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.meters.prometheus_text import read_exposition
from costaudit.record.servers.family import Described, exported, known, listed, scrape

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look

_MARK = "_model_total_kv_blocks"  # its prefix can be changed by DYN_METRICS_PREFIX
_GAUGES = {
    "blocks_total": "model_total_kv_blocks",
    "block_size_tokens": "model_kv_cache_block_size",
    "max_num_seqs": "model_max_num_seqs",
    "max_num_batched_tokens": "model_max_num_batched_tokens",
    "context": "model_context_length",
}
_LIMITS = ("max_num_seqs", "max_num_batched_tokens")


class Dynamo:
    """The family of Dynamo, seen from its frontend."""

    name = "dynamo"
    rank = 20

    def known_by(self, look: Look) -> str:
        """Its frontend's metrics."""
        if look.has_metric("dynamo_frontend_"):
            return "/metrics has dynamo_frontend_* names"
        own = next((name for name in sorted(look.metrics) if name.endswith(_MARK)), "")
        return f"/metrics has {own}" if own else ""

    def asked_by(self, look: Look) -> str:  # noqa: ARG002 - what all are asked tells enough
        """Nothing more to ask."""
        return ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:
        """The gauges of the model's deployment card; its label is in lower case."""
        endings = tuple(_GAUGES.values())
        page = read_exposition(look.page, keep=lambda name: name.endswith(endings))
        told = {
            ours: max(
                (
                    one.value
                    for one in page.series
                    if one.name.endswith(ending)
                    and one.labels.get("model", model).lower() == model.lower()
                ),
                default=None,
            )
            for ours, ending in _GAUGES.items()
        }
        whole = {ours: None if x is None else int(x) for ours, x in told.items()}
        blocks, size = whole["blocks_total"], whole["block_size_tokens"]
        tokens = blocks * size if blocks is not None and size is not None else None
        fields = Fields(least="min_tokens", ignore_eos=True, ids="prompt", running_usage=True)
        return Described(
            dialect=OpenAICompletions(fields),
            chat=OpenAIChat(fields),
            metrics=scrape(look, "dynamo"),
            max_context_tokens=exported(whole["context"]),
            kv=known(
                {
                    "blocks_total": exported(blocks),
                    "block_size_tokens": exported(size),
                    "tokens_total": exported(tokens, "blocks × block size of one worker"),
                }
            ),
            knobs=known({name: exported(whole[name]) for name in _LIMITS}),
            notes=("the frontend's queued_requests counts until the first token",),
        )


FAMILY = Dynamo()

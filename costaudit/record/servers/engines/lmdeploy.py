"""LMDeploy: vLLM-like metrics, and its whole configuration as labels of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.servers import paths
from costaudit.record.servers.family import Described, exported, known, listed, scrape
from costaudit.record.servers.found import UNKNOWN, TokenizeRoute

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look

_KNOBS = {
    "max_num_seqs": "max_batch_size",
    "max_num_batched_tokens": "max_prefill_token_num",
    "enable_prefix_caching": "enable_prefix_caching",
    "gpu_memory_utilization": "cache_max_entry_count",
    "kv_quant_bits": "quant_policy",
}


class LMDeploy:
    """The family of LMDeploy."""

    name = "lmdeploy"
    rank = 44

    def known_by(self, look: Look) -> str:
        """Its metrics, or its name as owner of the models."""
        if look.has_metric("lmdeploy:"):
            return "/metrics has lmdeploy:* names"
        return "/v1/models is owned by lmdeploy" if "lmdeploy" in look.owners else ""

    def asked_by(self, look: Look) -> str:  # noqa: ARG002 - what all are asked tells enough
        """Nothing more to ask."""
        return ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:  # noqa: ARG002 - one per server
        """What its metric `backend_config_info` has as labels."""
        labels = look.labels_of("lmdeploy:backend_config_info")
        metrics = look.has_metric("lmdeploy:")
        why = "backend_config_info"
        context = labels.get("session_len")
        tensor = exported(labels.get("tp"), why)
        fields = Fields(ignore_eos=True)
        return Described(
            dialect=OpenAICompletions(fields),
            chat=OpenAIChat(Fields(ignore_eos=True, least="min_new_tokens")),
            metrics=scrape(look, "lmdeploy") if metrics else None,
            tokenize=TokenizeRoute(
                path=paths.LMDEPLOY_ENCODE.path, text_key="input", ids_key="input_ids"
            ),
            max_context_tokens=exported(context, why) if context else UNKNOWN,
            parallelism=known({"tensor": tensor}),
            kv=known({"block_size_tokens": exported(labels.get("block_size"), why)}),
            knobs=known({ours: exported(labels.get(name), why) for ours, name in _KNOBS.items()}),
            no_metrics="the server was started without --enable-metrics",
        )


FAMILY = LMDeploy()

"""Text Generation Inference (3.3.7 is its last line): no KV metrics, no forced lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.dialect import Ending
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.dialects.tgi_generate import TGIGenerate
from costaudit.record.servers import paths
from costaudit.record.servers.family import Described, exported, known, listed, scrape
from costaudit.record.servers.found import TokenizeRoute

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look

_KNOBS = {
    "max_concurrent_requests": "max_concurrent_requests",
    "max_input_tokens": "max_input_tokens",
    "waiting_served_ratio": "waiting_served_ratio",
    "max_waiting_tokens": "max_waiting_tokens",
    "max_batch_total_tokens": "max_batch_total_tokens",
    "max_num_seqs": "max_batch_size",
}


class TGI:
    """The family of Text Generation Inference."""

    name = "tgi"
    rank = 42

    def known_by(self, look: Look) -> str:
        """Its metrics, or a header that only it sends."""
        if look.has_metric("tgi_"):
            return "/metrics has tgi_* names"
        return "the header x-compute-type" if look.header("x-compute-type") else ""

    def asked_by(self, look: Look) -> str:
        """`/info` names the router."""
        router = look.get(paths.TGI_INFO).mapping().get("router")
        return "/info names text-generation-router" if router == "text-generation-router" else ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The one model of `/info`."""
        told = look.get(paths.TGI_INFO).mapping().get("model_id")
        return (told,) if isinstance(told, str) and told else listed(look)

    def describe(self, look: Look, model: str) -> Described:  # noqa: ARG002 - one per server
        """What `/info` says."""
        info = look.get(paths.TGI_INFO).mapping()
        version = str(info.get("version", ""))
        return Described(
            version=version,
            dtype=str(info.get("model_dtype") or "").removeprefix("torch."),
            dialect=TGIGenerate(),
            chat=OpenAIChat(Fields(ending=Ending.DONE)),
            metrics=scrape(look, "tgi", version=version) if look.has_metric("tgi_") else None,
            tokenize=TokenizeRoute(path=paths.TOKENIZE.path, text_key="inputs", ids_key=""),
            max_context_tokens=exported(info.get("max_total_tokens")),
            kv=known({"tokens_total": exported(info.get("max_batch_total_tokens"), "/info")}),
            knobs=known({ours: exported(info.get(name), "/info") for ours, name in _KNOBS.items()}),
            notes=("TGI exports no KV-cache, preemption or TTFT metric",),
        )


FAMILY = TGI()

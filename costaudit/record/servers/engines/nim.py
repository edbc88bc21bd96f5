"""NVIDIA NIM: vLLM-like metrics without a prefix, at `/v1/metrics` (known from documents alone)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.meters.prometheus_text import families
from costaudit.record.servers import paths
from costaudit.record.servers.family import Described, entry, exported, listed
from costaudit.record.servers.found import MetricsSource

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look

_MARKS = {"num_requests_running", "gpu_cache_usage_perc"}


class NIM:
    """The family of NIM."""

    name = "nim"
    rank = 80

    def known_by(self, look: Look) -> str:
        """The same names at `/metrics`, where something maps them there."""
        return "/metrics has num_requests_running" if look.metrics >= _MARKS else ""

    def asked_by(self, look: Look) -> str:
        """`/v1/metrics` has vLLM's names without their prefix."""
        page = look.get(paths.NIM_METRICS)
        return "/v1/metrics as NIM has it" if families(page.text()) >= _MARKS and page.ok else ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:
        """What its list of models says."""
        card = entry(look, model)
        fields = Fields(usage=True, ignore_eos=True, ids="prompt")
        return Described(
            weights_name=str(card.get("root") or ""),
            dialect=OpenAICompletions(fields),
            chat=OpenAIChat(Fields(ignore_eos=True)),
            metrics=MetricsSource(
                url=look.endpoint.base_url + paths.NIM_METRICS.path,
                servers=("nim",),
                headers=look.endpoint.headers,
                verify_tls=look.endpoint.verify_tls,
            ),
            max_context_tokens=exported(card.get("max_model_len")),
            notes=("NIM's names are known from its documents alone",),
        )


FAMILY = NIM()

"""trtllm-serve: refuses unknown fields, and its `/metrics` is a queue that a reader empties.

So only `/prometheus/metrics` is read (there with `return_perf_metrics: true`), whose names have the
prefix `trtllm_` or, in 1.0 to 1.2, none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.servers import paths
from costaudit.record.servers.family import Described, listed
from costaudit.record.servers.found import MetricsSource

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look

_NO_METRICS = (
    "no /prometheus/metrics (it needs return_perf_metrics: true); its /metrics is left alone, for "
    "reading it takes the data away from other readers"
)


class TrtllmServe:
    """The family of trtllm-serve."""

    name = "trtllm-serve"
    rank = 10

    def known_by(self, look: Look) -> str:
        """Its name as owner of the models."""
        return "/v1/models is owned by tensorrt_llm" if look.drains else ""

    def asked_by(self, look: Look) -> str:  # noqa: ARG002 - what all are asked tells enough
        """Nothing more to ask."""
        return ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:  # noqa: ARG002 - one per server
        """Version, and where its counters are."""
        version = str(look.get(paths.VERSION).mapping().get("version", ""))
        page = look.get(paths.TRTLLM_PROMETHEUS)
        fields = Fields(least="min_tokens", ignore_eos=True, ids="prompt", running_usage=True)
        source = MetricsSource(
            url=page.url,
            servers=("trtllm-serve",),
            version=version,
            headers=look.endpoint.headers,
            verify_tls=look.endpoint.verify_tls,
        )
        return Described(
            version=version,
            dialect=OpenAICompletions(fields),
            chat=OpenAIChat(fields),
            metrics=source if page.ok else None,
            no_metrics=_NO_METRICS,
        )


FAMILY = TrtllmServe()

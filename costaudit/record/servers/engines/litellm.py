"""LiteLLM's proxy: passes on to engines or hosted APIs; audit the engine behind it for capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.servers.family import Described, listed, scrape

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look

_NOTE = (
    "this is a proxy: its TTFT holds its own overhead, and KV numbers are the "
    "engine's; audit the engine itself for capacity"
)


class LiteLLM:
    """The family of the LiteLLM proxy."""

    name = "litellm"
    rank = 30

    def known_by(self, look: Look) -> str:
        """Its headers or its metrics."""
        if any(look.header(f"x-litellm-{name}") for name in ("version", "call-id", "model-id")):
            return "a header x-litellm-*"
        return "/metrics has litellm_* names" if look.has_metric("litellm_") else ""

    def asked_by(self, look: Look) -> str:  # noqa: ARG002 - what all are asked tells enough
        """Nothing more to ask."""
        return ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:  # noqa: ARG002 - one for all
        """Its version; what is behind it is told by the canary's fingerprint, if at all."""
        return Described(
            version=look.header("x-litellm-version"),
            dialect=OpenAIChat(),
            chat=OpenAICompletions(),
            metrics=scrape(look, "litellm") if look.has_metric("litellm_") else None,
            notes=(_NOTE,),
        )


FAMILY = LiteLLM()

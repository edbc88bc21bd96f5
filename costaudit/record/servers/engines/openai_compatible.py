"""Any other server with OpenAI's form: hosted APIs, and engines behind a proxy that hides them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.servers.family import Described, entry, exported, listed

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look

# OpenAI's own: a limit by another name, sampling fixed on reasoning models, padding left out.
_OPENAI = Fields(
    limit="max_completion_tokens",
    temperature=None,
    extra={"stream_options": {"include_usage": True, "include_obfuscation": False}},
)

_CONTEXT = ("max_model_len", "context_length", "context_window")
_NOTE = (
    "the engine behind this API is not told: lengths are exact only as far as it "
    "obeys, and there are no metrics"
)


class OpenAICompatible:
    """The family of everything that lists models as OpenAI does."""

    name = "openai-compatible"
    rank = 100

    def known_by(self, look: Look) -> str:
        """A header of OpenAI or Fireworks."""
        for name in ("openai-version", "openai-processing-ms", "fireworks-server-id"):
            if look.header(name):
                return f"the header {name}"
        return ""

    def asked_by(self, look: Look) -> str:
        """A list of models, and no more."""
        return "/v1/models lists models" if look.models else ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:
        """What its list of models says."""
        host = urlsplit(look.endpoint.base_url).hostname or ""
        hosted = host == "api.openai.com" or host.endswith(".openai.azure.com")
        card = entry(look, model)
        return Described(
            weights_name=str(card.get("root") or ""),
            dialect=OpenAIChat(_OPENAI if hosted else Fields()),
            max_context_tokens=exported(next((card[n] for n in _CONTEXT if card.get(n)), None)),
            notes=(_NOTE,),
        )


FAMILY = OpenAICompatible()

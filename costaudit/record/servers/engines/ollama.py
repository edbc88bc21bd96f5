"""Ollama: no metrics; loaded models by `/api/ps`, a model's shape by `/api/show`.

SGLang can answer its root route with Ollama's words, so `/api/version` decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.record.dialects.ollama_generate import OllamaGenerate
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.servers import paths
from costaudit.record.servers.family import Described, exported, listed
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.servers.look import Look


class Ollama:
    """The family of Ollama."""

    name = "ollama"
    rank = 60

    def known_by(self, look: Look) -> str:  # noqa: ARG002 - it has no mark of its own there
        """Nothing: its models are owned by "library", which others may be too."""
        return ""

    def asked_by(self, look: Look) -> str:
        """`/api/version` is its own."""
        version = look.get(paths.OLLAMA_VERSION).mapping().get("version")
        return "/api/version" if isinstance(version, str) else ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`, those in memory first."""
        loaded = tuple(str(one["name"]) for one in _loaded(look) if one.get("name"))
        return tuple(dict.fromkeys((*loaded, *listed(look))))

    def describe(self, look: Look, model: str) -> Described:
        """Quantization, context, and whether all of it is on the GPU."""
        here: Mapping[str, Any] = next((m for m in _loaded(look) if m.get("name") == model), {})
        details = here.get("details")
        details = details if isinstance(details, dict) else {}
        size, on_gpu = here.get("size"), here.get("size_vram")
        notes = ["Ollama exports no metrics: KV numbers and queue are not told"]
        if not here:
            notes.append(f"{model} is not loaded yet; the first request loads it")
        elif isinstance(size, int) and isinstance(on_gpu, int) and 0 <= on_gpu < size:
            notes.append(f"{1 - on_gpu / size:.0%} of the model is on the CPU")
        level = str(details.get("quantization_level") or "")
        return Described(
            version=str(look.get(paths.OLLAMA_VERSION).mapping().get("version", "")),
            dtype=level.lower(),
            dialect=OllamaGenerate(),
            chat=OpenAIChat(),
            max_context_tokens=exported(here.get("context_length"), "/api/ps"),
            knobs={"quantization": Value(value=level, origin=Origin.EXPORTED, why="/api/ps")}
            if level
            else {},
            notes=tuple(notes),
        )


def _loaded(look: Look) -> tuple[dict[str, Any], ...]:
    models = look.get(paths.OLLAMA_PS).mapping().get("models")
    return tuple(m for m in models if isinstance(m, dict)) if isinstance(models, list) else ()


FAMILY = Ollama()

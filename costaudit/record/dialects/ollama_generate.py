"""Ollama's own form: `POST /api/generate`, one JSON object per line.

`raw` leaves the model's chat template out, so that a prompt is as long as it was made. There is no
way to forbid the end token: an answer counts when its `done_reason` is "length".
"""

from __future__ import annotations

from typing import Any

import msgspec

from costaudit.record.dialects.dialect import OUTPUT, Ask, Call, Chunk, Ending, Framing
from costaudit.record.dialects.reading.events import (
    NOTHING,
    Count,
    failure,
    refused,
    text_of,
)
from costaudit.record.dialects.reading.json_events import JsonEvents


class _Event(msgspec.Struct, gc=False):
    response: str | None = None
    thinking: str | None = None
    done: bool = False
    done_reason: str = ""
    prompt_eval_count: Count | None = None
    eval_count: Count | None = None
    error: Any = None


class OllamaGenerate(JsonEvents[_Event]):
    """The native form of Ollama."""

    name = "ollama_generate"
    decoder = msgspec.json.Decoder(_Event)
    framing = Framing.NDJSON
    ending = Ending.DONE
    takes_token_ids = False
    exact_output = False

    def call(self, ask: Ask, *, model: str) -> Call:
        """The request that asks for this generation, streamed.

        Raises:
            TypeError: the prompt is token ids.
        """
        sent = {
            "model": model,
            "prompt": text_of(ask),
            "raw": True,
            "stream": True,
            "options": {"num_predict": ask.output_tokens, "temperature": 0.0},
        }
        return Call(path="/api/generate", body=msgspec.json.encode(sent))

    def meaning(self, event: _Event, payload: bytes) -> Chunk:
        """One line; the last one says `done` and holds the counts (the prompt's uncached part)."""
        if event.error is not None:
            return refused(event.error)
        if event.done:
            return Chunk(
                output=bool(event.response or event.thinking),
                prompt_tokens=event.prompt_eval_count,
                output_tokens=event.eval_count,
                finish_reason=event.done_reason or "unknown",
                done=True,
            )
        if event.response is None and event.thinking is None:
            return failure(payload)
        return OUTPUT if event.response or event.thinking else NOTHING


DIALECT = OllamaGenerate

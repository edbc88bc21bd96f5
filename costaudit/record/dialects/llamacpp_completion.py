"""llama.cpp's own form: `POST /completion`, prompts as token ids, a count in each event.

`cache_prompt` stays as the server has it (on), as in real use; unique prompts bust the cache.
"""

from __future__ import annotations

from typing import Any

import msgspec

from costaudit.record.dialects.dialect import Ask, Call, Chunk, Ending, Framing
from costaudit.record.dialects.reading.events import (
    Count,
    failure,
    of_total,
    refused,
)
from costaudit.record.dialects.reading.json_events import JsonEvents

_FINISH = {"limit": "length", "eos": "stop", "word": "stop"}  # `stop_type` → the usual words


class _Timings(msgspec.Struct, gc=False):
    cache_n: Count | None = None
    prompt_n: Count | None = None


class _Event(msgspec.Struct, gc=False):
    content: str | None = None
    stop: bool = False
    stop_type: str = ""
    tokens_predicted: Count | None = None
    tokens_evaluated: Count | None = None
    timings: _Timings | None = None
    error: Any = None


class LlamaCppCompletion(JsonEvents[_Event]):
    """The native form of llama-server."""

    name = "llamacpp_completion"
    decoder = msgspec.json.Decoder(_Event)
    framing = Framing.SSE
    ending = Ending.FINISH
    takes_token_ids = True
    exact_output = True

    def call(self, ask: Ask, *, model: str) -> Call:
        """The request that asks for this generation, streamed."""
        sent = {
            "model": model,
            "prompt": ask.prompt,
            "n_predict": ask.output_tokens,
            "ignore_eos": True,
            "temperature": 0.0,
            "stream": True,
        }
        return Call(path="/completion", body=msgspec.json.encode(sent))

    def meaning(self, event: _Event, payload: bytes) -> Chunk:
        """One event; the one with `stop` carries no token but the final counts."""
        if event.error is not None:
            return refused(event.error)
        if event.content is None:
            return failure(payload)
        if not event.stop:
            if event.tokens_predicted is None:
                return Chunk(output=True)
            return of_total(event.tokens_predicted)
        return Chunk(
            output=bool(event.content),
            prompt_tokens=event.tokens_evaluated,
            cached_tokens=None if event.timings is None else event.timings.cache_n,
            output_tokens=event.tokens_predicted,
            finish_reason=_FINISH.get(event.stop_type, event.stop_type or "unknown"),
        )


DIALECT = LlamaCppCompletion

"""SGLang's own form: `POST /generate`, prompts as token ids, a count in each event.

Each event holds the whole text so far and `meta_info` with the counts so far; servers started with
`--incremental-streaming-output` send only what is new. The count is used, the text is not.
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


class _Finish(msgspec.Struct, gc=False):
    type: str = ""
    message: str = ""


class _Meta(msgspec.Struct, gc=False):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    cached_tokens: Count | None = None
    finish_reason: _Finish | str | None = None


class _Event(msgspec.Struct, gc=False):
    meta_info: _Meta | None = None
    error: Any = None


class SGLangGenerate(JsonEvents[_Event]):
    """The native form of SGLang, for versions whose OpenAI form does not count as it goes."""

    name = "sglang_generate"
    decoder = msgspec.json.Decoder(_Event)
    framing = Framing.SSE
    ending = Ending.DONE
    takes_token_ids = True
    exact_output = True

    def call(self, ask: Ask, *, model: str) -> Call:  # noqa: ARG002 - one model per server
        """The request that asks for this generation, streamed."""
        key = "text" if isinstance(ask.prompt, str) else "input_ids"
        sampling = {
            "max_new_tokens": ask.output_tokens,
            "min_new_tokens": ask.output_tokens,
            "ignore_eos": True,
            "temperature": 0.0,
        }
        sent = {key: ask.prompt, "sampling_params": sampling, "stream": True}
        return Call(path="/generate", body=msgspec.json.encode(sent))

    def meaning(self, event: _Event, payload: bytes) -> Chunk:
        """One event; the last one carries the finish reason and the final counts."""
        if event.error is not None:
            return refused(event.error)
        if event.meta_info is None:
            return failure(payload)
        meta = event.meta_info
        finish = meta.finish_reason
        if isinstance(finish, _Finish):
            if finish.type == "abort":
                return Chunk(error=finish.message or "the server aborted the request")
            finish = finish.type
        total = meta.completion_tokens
        if not finish:
            return Chunk() if not total else of_total(total)
        return Chunk(
            output=bool(total),
            total_tokens=total,
            prompt_tokens=meta.prompt_tokens,
            cached_tokens=meta.cached_tokens,
            output_tokens=total,
            finish_reason=finish,
        )


DIALECT = SGLangGenerate

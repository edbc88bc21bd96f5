"""Text Generation Inference's own form: `POST /generate_stream`, one token per event.

No prompt as ids and no forced length: an answer counts when its finish reason is "length". Under
speculation several events may arrive at once, still one token each.
"""

from __future__ import annotations

from typing import Any

import msgspec

from costaudit.record.dialects.dialect import Ask, Call, Chunk, Ending, Framing
from costaudit.record.dialects.reading.events import (
    Count,
    failure,
    of_tokens,
    refused,
    text_of,
)
from costaudit.record.dialects.reading.json_events import JsonEvents


class _Details(msgspec.Struct, gc=False):
    finish_reason: str = ""
    generated_tokens: Count | None = None
    input_length: Count | None = None


class _Event(msgspec.Struct, gc=False):
    token: dict[str, Any] | None = None
    generated_text: str | None = None
    details: _Details | None = None
    error: Any = None


class TGIGenerate(JsonEvents[_Event]):
    """The native form of TGI."""

    name = "tgi_generate"
    decoder = msgspec.json.Decoder(_Event)
    framing = Framing.SSE
    ending = Ending.FINISH
    takes_token_ids = False
    exact_output = False

    def call(self, ask: Ask, *, model: str) -> Call:  # noqa: ARG002 - one model per server
        """The request that asks for this generation, streamed.

        Raises:
            TypeError: the prompt is token ids.
        """
        parameters = {
            "max_new_tokens": ask.output_tokens,
            "do_sample": False,
            "details": True,
            "decoder_input_details": False,
        }
        sent = {"inputs": text_of(ask), "parameters": parameters, "stream": True}
        return Call(path="/generate_stream", body=msgspec.json.encode(sent))

    def meaning(self, event: _Event, payload: bytes) -> Chunk:
        """One event: a token; the last one has the details too."""
        if event.error is not None:
            return refused(event.error)
        if event.token is None:
            return failure(payload)
        if event.details is None and event.generated_text is None:
            return of_tokens(1)
        details = event.details or _Details()
        return Chunk(
            output=True,
            tokens=1,
            prompt_tokens=details.input_length,
            output_tokens=details.generated_tokens,
            finish_reason=details.finish_reason or "unknown",
        )


DIALECT = TGIGenerate

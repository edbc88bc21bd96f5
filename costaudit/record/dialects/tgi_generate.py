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
    decoded,
    failure,
    of_tokens,
    refused,
    text_of,
)


class _Details(msgspec.Struct):
    finish_reason: str = ""
    generated_tokens: Count | None = None
    input_length: Count | None = None


class _Event(msgspec.Struct):
    token: dict[str, Any] | None = None
    generated_text: str | None = None
    details: _Details | None = None
    error: Any = None


_EVENT = msgspec.json.Decoder(_Event)


class TGIGenerate:
    """The native form of TGI."""

    name = "tgi_generate"
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

    def read(self, payload: bytes) -> Chunk:
        """One event: a token; the last one has the details too."""
        event = decoded(_EVENT, payload)
        if isinstance(event, Chunk):
            return event
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

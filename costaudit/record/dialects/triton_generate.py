"""Triton's generate extension: `POST /v2/models/M/generate_stream`, fields named by the model.

The JSON keys are the model's input tensors, as its configuration names them, so one dialect serves
the TensorRT-LLM backend (its ensemble and its `tensorrt_llm` model), the vLLM backend and any
Python model that takes text or token ids. An event is one response of the model; the stream ends
with the body, and errors may come inside it with HTTP 200
(docs/protocol/extension_generate.md of triton-inference-server/server).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from costaudit.record.dialects.dialect import OUTPUT, Ask, Call, Chunk, Ending, Framing
from costaudit.record.dialects.reading.events import (
    NOTHING,
    failure,
    of_tokens,
    refused,
    text_of,
)
from costaudit.record.dialects.reading.json_events import JsonEvents

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """Which tensors of a model mean what; "" where it has none for that.

    Attributes:
        text, ids, ids_length: the prompt as text, as token ids, and how many ids those are.
        limit, least: most and least tokens to generate.
        sampling_json: takes vLLM's sampling parameters as JSON text.
        fixed: inputs that are always sent as they are.
        text_out, ids_out: the output as text, as token ids.
        tokens_out, prompt_out, finish_out: tokens in this response, of the prompt, finish reason.
        tokens_per_response: as observed, for a model that tells no counts; None: not known.
    """

    text: str = ""
    ids: str = ""
    ids_length: str = ""
    limit: str = ""
    least: str = ""
    sampling_json: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    text_out: str = "text_output"
    ids_out: str = ""
    tokens_out: str = ""
    prompt_out: str = ""
    finish_out: str = ""
    tokens_per_response: int | None = None


class TritonGenerate(JsonEvents[dict[str, Any]]):
    """The generate extension, for one model's `tensors`."""

    name = "triton_generate"
    decoder = msgspec.json.Decoder(dict[str, Any])
    framing = Framing.SSE
    ending = Ending.EOF

    def __init__(self, tensors: Tensors | None = None) -> None:
        self.tensors = tensors or Tensors(text="text_input", limit="max_tokens")
        self.takes_token_ids = bool(self.tensors.ids)
        self.exact_output = bool(self.tensors.least or self.tensors.sampling_json)

    def call(self, ask: Ask, *, model: str) -> Call:
        """The request that asks for this generation, streamed.

        Raises:
            TypeError: token ids for a model that takes text alone.
        """
        names = self.tensors
        sent: dict[str, Any] = dict(names.fixed)
        if isinstance(ask.prompt, tuple) and names.ids:
            sent[names.ids] = ask.prompt
            if names.ids_length:
                sent[names.ids_length] = len(ask.prompt)
        else:
            sent[names.text] = text_of(ask)
        for key in filter(None, (names.limit, names.least)):
            sent[key] = ask.output_tokens
        if names.sampling_json:
            sampling = {
                "max_tokens": ask.output_tokens,
                "min_tokens": ask.output_tokens,
                "ignore_eos": True,
                "temperature": 0.0,
            }
            sent[names.sampling_json] = json.dumps(sampling)
        path = f"/v2/models/{quote(model, safe='')}/generate_stream"
        return Call(path=path, body=msgspec.json.encode(sent))

    def meaning(self, event: dict[str, Any], payload: bytes) -> Chunk:
        """One response of the model."""
        if event.get("error") is not None:
            return refused(event["error"])
        return self._chunk(event, payload)

    def _chunk(self, event: dict[str, Any], payload: bytes) -> Chunk:
        names = self.tensors
        if names.ids_out in event:
            tokens: int | None = len(_many(event[names.ids_out]))
        elif names.tokens_out in event:
            tokens = sum(map(_count, _many(event[names.tokens_out])))
        elif names.text_out in event:
            some = any(_many(event[names.text_out]))
            tokens = names.tokens_per_response if some else None
        else:
            return failure(payload)
        prompt = _many(event.get(names.prompt_out)) if names.prompt_out else []
        finish = _many(event.get(names.finish_out)) if names.finish_out else []
        reason = str(finish[0]) if finish and finish[0] not in {"", None, "None"} else ""
        if prompt or reason:
            output = tokens is None or tokens > 0
            counted = _count(prompt[0]) if prompt else None
            return Chunk(output=output, tokens=tokens, prompt_tokens=counted, finish_reason=reason)
        if tokens is not None:
            return of_tokens(tokens)
        return OUTPUT if any(_many(event.get(names.text_out))) else NOTHING


def _many(value: Any) -> list[Any]:
    """A tensor's elements: Triton writes one alone without its brackets."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _count(value: Any) -> int:
    """A number of tokens; a tensor of anything else counts as nothing."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= 10**9 else 0


DIALECT = TritonGenerate

"""Common to both OpenAI forms: what a server takes beyond the plain fields, and its usage.

Fields and their first versions: vLLM `ignore_eos`, `min_tokens`, `continuous_usage_stats` (0.5.5
or before) and `return_token_ids` (0.10.2); SGLang `continuous_usage_stats` 0.5.6. A server that
refuses unknown fields (trtllm-serve) gets only those named here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from costaudit.record.dialects.dialect import OUTPUT, Chunk, Ending
from costaudit.record.dialects.reading.events import (
    NOTHING,
    Count,
    failure,
    of_finish,
    of_tokens,
    of_total,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What a server takes beside model, prompt, `stream` and the limit.

    Attributes:
        limit: the field that limits the output.
        least: the field that forces a least output; "" where there is none.
        ignore_eos: it can be told to go on after the end token.
        ids: the field for a prompt as token ids; "" where it takes text alone.
        usage: `stream_options.include_usage`: it counts at the end.
        running_usage: `continuous_usage_stats`: it counts in each event.
        ids_back: `return_token_ids`: it shows the ids of each event.
        one_each: every event with output is one token, as was seen of a server without counts.
        finish_has_token: the event with the finish reason is always one with output too.
        ending: what ends its streams.
        temperature: 0 repeats itself; None leaves the server's own.
        extra: fields sent as they are.
    """

    limit: str = "max_tokens"
    least: str = ""
    ignore_eos: bool = False
    ids: str = ""
    usage: bool = True
    running_usage: bool = False
    ids_back: bool = False
    one_each: bool = False
    finish_has_token: bool = False
    ending: Ending = Ending.DONE
    temperature: float | None = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exact_output(self) -> bool:
        """It can be made to generate as many tokens as asked, no fewer."""
        return self.ignore_eos or bool(self.least)


def body(fields: Fields, *, model: str, output_tokens: int) -> dict[str, Any]:
    """The fields of a streamed request, without its prompt."""
    sent: dict[str, Any] = {"model": model, fields.limit: output_tokens, "stream": True}
    if fields.temperature is not None:
        sent["temperature"] = fields.temperature
    if fields.least:
        sent[fields.least] = output_tokens
    if fields.ignore_eos:
        sent["ignore_eos"] = True
    if fields.usage:
        sent["stream_options"] = {"include_usage": True}
        if fields.running_usage:
            sent["stream_options"]["continuous_usage_stats"] = True
    if fields.ids_back:
        sent["return_token_ids"] = True
    return {**sent, **fields.extra}


class _Cached(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None


class Usage(msgspec.Struct, gc=False):
    """The `usage` object; every part of it may be missing."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: _Cached | None = None
    cached_tokens: Count | None = None


class Event(msgspec.Struct, gc=False):
    """What events of both forms have, beside their choices."""

    usage: Usage | None = None
    error: Any = None
    object: str = ""
    message: str = ""
    choices: list[Any] | None = None


def final(
    usage: Usage, *, output: bool = False, finish: str = "", tokens: int | None = None
) -> Chunk:
    """An event with the final counts."""
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details is not None else usage.cached_tokens
    return Chunk(
        output=output,
        tokens=tokens,
        total_tokens=usage.completion_tokens if output else None,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=cached,
        output_tokens=usage.completion_tokens,
        finish_reason=finish,
    )


def chunk(*, output: bool, finish: str, ids: list[int] | None, usage: Usage | None) -> Chunk:
    """One event with a choice in it, made of what was read of it."""
    if finish == "error":
        return Chunk(error="the server ended the answer with finish_reason 'error'")
    if finish:
        tokens = None if ids is None else len(ids)
        if usage is None:
            return of_finish(finish, output, tokens)
        return final(usage, output=output, finish=finish, tokens=tokens)
    if ids is not None:
        return of_tokens(len(ids))
    if usage is not None and usage.completion_tokens is not None:
        total = usage.completion_tokens
        return of_total(total) if output else Chunk(total_tokens=total)
    return OUTPUT if output else NOTHING


def without_choice(event: Event, payload: bytes) -> Chunk:
    """An event that has no choice in it: an error, the final counts, or nothing of interest."""
    if event.error is not None:
        return refused(event.error)
    if event.object == "error":  # TensorRT-LLM and LMDeploy
        return refused(event.message)
    if event.usage is not None:
        return final(event.usage)
    return failure(payload) if event.choices is None else NOTHING

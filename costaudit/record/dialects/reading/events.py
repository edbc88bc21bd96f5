"""Chunks that every dialect makes, and the sentence in a server's error."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec

from costaudit.record.dialects.dialect import Ask, Chunk

_Event = TypeVar("_Event")

Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]  # of tokens; anything else is nonsense
MAX_SENTENCE = 300  # characters of a server's own words that are worth keeping

# One event per token: chunks that say the same are made once.
NOTHING = Chunk()
DONE = Chunk(done=True)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)

_ANY = msgspec.json.Decoder()
_SAYING = ("message", "msg", "error", "detail", "reason", "error_message", "errors")


@lru_cache(maxsize=1 << 14)
def of_total(total_tokens: int) -> Chunk:
    """Output, with the count so far."""
    return Chunk(output=True, total_tokens=total_tokens)


@lru_cache(maxsize=1 << 10)
def of_tokens(tokens: int) -> Chunk:
    """Output of so many tokens; none at all carries nothing."""
    return Chunk(output=tokens > 0, tokens=tokens)


@lru_cache(maxsize=1 << 10)
def of_finish(reason: str, output: bool, tokens: int | None) -> Chunk:
    """The end of an answer, without counts."""
    return Chunk(output=output, tokens=tokens, finish_reason=reason)


def decoded(decoder: msgspec.json.Decoder[_Event], payload: bytes) -> _Event | Chunk:
    """The event in a payload; the terminator or a failure as the chunk that it is. Never raises."""
    try:
        return decoder.decode(payload)
    except UNREADABLE as problem:
        return DONE if payload.strip() == b"[DONE]" else failure(payload, problem)


def refused(error: object) -> Chunk:
    """The chunk of an event that says `error`."""
    return Chunk(error=sentence(error) or "the server sent an error without a message")


def failure(payload: bytes, problem: Exception | None = None) -> Chunk:
    """The chunk for an event that could not be read as this dialect's: the server's error, or ours.

    Never raises.
    """
    try:
        said = sentence(_ANY.decode(payload))
    except UNREADABLE:
        said = ""
    if not said:
        head = payload[:80].decode("utf-8", "replace").strip()
        why = f" ({problem})"[:MAX_SENTENCE] if problem is not None else ""
        said = f"the server sent an event that cannot be read: {head!r}{why}"
    return Chunk(error=said)


def sentence(said: Any, depth: int = 4) -> str:
    """The human words in an error of any usual form, in one line; "" where there are none."""
    if isinstance(said, str):
        return " ".join(said.split())[:MAX_SENTENCE]
    if depth and isinstance(said, dict):
        for key in _SAYING:
            if words := sentence(said.get(key), depth - 1):
                return words
    if depth and isinstance(said, list) and said:
        return sentence(said[0], depth - 1)
    return ""


def text_of(ask: Ask) -> str:
    """The prompt of an ask to a dialect that takes text alone.

    Raises:
        TypeError: it holds token ids.
    """
    if not isinstance(ask.prompt, str):
        raise TypeError("this dialect takes no token ids")
    return ask.prompt

"""What a wire format has to say: how a generation is asked for and how its events are read.

Structs of msgspec, not dataclasses: some are made for each request, in a quarter of the time.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Framing(StrEnum):
    """How events are laid out in the body of a streamed answer."""

    SSE = "sse"  # text/event-stream: `data:` lines, blank line between events
    NDJSON = "ndjson"  # one JSON object per line


class Ending(StrEnum):
    """What ends a whole stream; the end of the body without it is a truncation."""

    DONE = "done"  # a sentinel event: `data: [DONE]`, or `"done": true`
    FINISH = "finish"  # the event that carries a finish reason
    EOF = "eof"  # nothing but the end of the body


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One generation to ask for: a prompt as token ids or as text, and tokens to generate."""

    prompt: tuple[int, ...] | str
    output_tokens: int


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One HTTP POST, ready to be sent; `path` is below the base URL and starts with a slash."""

    path: str
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class Chunk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event of a streamed answer, read.

    Attributes:
        output: it carries output of the model: text (an empty one with a token behind it too),
            reasoning, a tool call or token ids. A role, usage or keep-alive event does not.
        tokens: output tokens in this event, where it says so itself (token ids).
        total_tokens: output tokens so far, where it says so (continuous usage).
        prompt_tokens: tokens of the prompt as the server counts them.
        cached_tokens: of those, served from the prefix cache.
        output_tokens: final count of output tokens (usage).
        finish_reason: "length", "stop", …; "" where the event has none.
        error: the server's own sentence about a failure; "" where there is none.
        done: the terminator.
    """

    output: bool = False
    tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""
    error: str = ""
    done: bool = False


OUTPUT = Chunk(output=True)  # what nearly every event says: made once, known by its identity


class Dialect(Protocol):
    """A wire format. Implementations are stateless; `model` is the name the server knows.

    `texts` names the JSON fields of an event that matter by being empty or not, whatever they say.
    """

    name: str
    framing: Framing
    ending: Ending
    texts: tuple[bytes, ...]
    takes_token_ids: bool  # prompts of an exact length without a tokenizer
    exact_output: bool  # can force the number of output tokens (ignore_eos, min_tokens)

    def call(self, ask: Ask, *, model: str) -> Call:
        """The request that asks for this generation, streamed."""

    def read(self, payload: bytes) -> Chunk:
        """One event's payload (the joined `data:` lines, or one line of NDJSON).

        Never raises: what cannot be read is a Chunk with `error`.
        """

    def read_all(self, payloads: Sequence[bytes]) -> Sequence[Chunk]:
        """Many events in a row, each as `read` has it."""

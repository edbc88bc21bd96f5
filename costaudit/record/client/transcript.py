"""What a streamed answer said: its output events, token counts and how it ended."""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING

from costaudit.record.client.framing import Splitter, payload
from costaudit.record.client.wire import stamped
from costaudit.record.dialects.dialect import OUTPUT, Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.client.bodies import Parts
    from costaudit.record.dialects.dialect import Chunk, Dialect

TOKENS_MAX = 2**16 - 1  # what an event's uint16 of tokens holds
_UNTOLD = -1
_DONE, _FINISH = Ending.DONE, Ending.FINISH  # to look one up takes as long as a call


class Transcript:
    """Reads the body of one answer and keeps only what is counted, never a text.

    `event_us` and `event_tokens` grow by one for each output event; tokens are -1 where the event
    does not tell. `shared` counts output events that shared a read with an earlier one.
    """

    __slots__ = (
        "_dialect",
        "_last_read",
        "_offsets",
        "_splitter",
        "_total_tokens",
        "cached_tokens",
        "done",
        "error",
        "event_tokens",
        "event_us",
        "finish_reason",
        "framing",
        "output_tokens",
        "prompt_tokens",
        "shared",
    )

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.framing = dialect.framing
        self._splitter = Splitter(dialect.framing)
        self._offsets = array("q")  # of output events that have no stamp yet
        self._last_read = -1  # raw offset of the end of the read that completed the last of them
        self._total_tokens = 0
        self.event_us = array("I")
        self.event_tokens = array("q")
        self.shared = 0
        self.prompt_tokens: int | None = None
        self.cached_tokens: int | None = None
        self.output_tokens: int | None = None
        self.finish_reason = ""
        self.error = ""
        self.done = False

    def read(self, parts: Parts) -> None:
        """Read stretches of the body.

        Raises:
            FramingFault: an event without end.
        """
        if self.done or not parts.pieces:
            return
        if payloads := self._splitter.whole_events(parts.pieces):
            self._take(self._dialect.read_all(payloads), parts.counts, parts.ends)
            return
        ends = array("q")
        try:
            for block, end in self._splitter.blocks(parts.every(), parts.ends):
                if said := payload(block, self.framing):
                    payloads.append(said)
                    ends.append(end)
        finally:
            self._take(self._dialect.read_all(payloads), [1] * len(ends), ends)

    def _take(self, chunks: Sequence[Chunk], counts: list[int], ends: array[int]) -> None:
        """Events in order, each so many times; what comes behind the terminator is for nobody."""
        place = 0
        for chunk, count in zip(chunks, counts, strict=True):
            first, place = place, place + count
            if chunk is not OUTPUT:
                self._note(chunk)
            if chunk.output:
                self._offsets += ends[first:place]
                self.event_tokens.append(self._tokens_of(chunk))
                if count > 1:
                    self.event_tokens += array("q", (self._tokens_of(chunk),)) * (count - 1)
            if chunk.done:
                break

    def finish(self, end: int) -> None:
        """The body is over; a last event may lack its separator."""
        if not self.done and (said := payload(self._splitter.rest(), self.framing)):
            self._take(self._dialect.read_all([said]), [1], array("q", (end,)))

    def stamp(self, read_ends: list[int], read_us: list[int]) -> None:
        """Give the events read so far the times of the reads that completed them.

        `read_ends[i]` is the raw offset behind read i, `read_us[i]` its time since the sending.
        """
        if not self._offsets:
            return
        times, reads, first, last = stamped(self._offsets, read_ends, read_us)
        self.event_us.frombytes(times)
        self.shared += len(self._offsets) - reads + (first == self._last_read)
        self._last_read = last
        del self._offsets[:]

    def whole(self, *, ended: bool) -> bool:
        """Did the stream come to its own end? `ended`: its body did, by HTTP's rules."""
        ending = self._dialect.ending
        if ending is _DONE:
            return self.done
        return bool(self.finish_reason) or self.done if ending is _FINISH else ended

    def _tokens_of(self, chunk: Chunk) -> int:
        if chunk.tokens is not None:
            return chunk.tokens
        if chunk.total_tokens is not None:
            new, self._total_tokens = chunk.total_tokens - self._total_tokens, chunk.total_tokens
            return max(new, 0)
        return _UNTOLD

    def _note(self, chunk: Chunk) -> None:
        if chunk.done:
            self.done = True
        if chunk.error:
            self.error = self.error or chunk.error
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason
        if chunk.prompt_tokens is not None:
            self.prompt_tokens = chunk.prompt_tokens
        if chunk.cached_tokens is not None:
            self.cached_tokens = chunk.cached_tokens
        if chunk.output_tokens is not None:
            self.output_tokens = chunk.output_tokens
        elif chunk.total_tokens is not None:
            self.output_tokens = max(self.output_tokens or 0, chunk.total_tokens)


def count_tokens(told: array[int], total: int | None) -> tuple[int | None, list[int]]:
    """Output tokens of an answer, and of each of its events; none each where unknown.

    `told` is what each event says of itself (negative: nothing), `total` what usage says. The
    total rules: where the events tell another sum, or do not tell, it is spread over them in
    proportion to what they tell (evenly where they do not), by rounding running sums, so that
    the parts are whole and sum to it. The number of events is never taken for one of tokens.
    """
    if not told:
        return total, []
    if total == len(told) == told.count(_UNTOLD):
        return total, [1] * total
    known = min(told) >= 0
    summed = sum(told) if known else 0
    if total is None:
        return (summed, list(told)) if known else (None, [])
    if known and summed == total:
        return total, list(told)
    weights = told if known and summed else [1] * len(told)
    return total, _spread(weights, total)


def _spread(weights: Sequence[int], total: int) -> list[int]:
    whole = sum(weights)
    parts, running, given = [], 0, 0
    for weight in weights:
        running += weight
        upto = (2 * total * running + whole) // (2 * whole)
        parts.append(upto - given)
        given = upto
    return parts


def pack(event_us: array[int], tokens: list[int]) -> tuple[bytes, bytes]:
    """`Answer.event_us` and `Answer.event_tokens`; an event of 65,536 tokens or more is split."""
    if tokens.count(1) == len(tokens):  # nearly always
        return _little(event_us), b""
    if max(tokens) > TOKENS_MAX:
        times, counts = array("I"), []
        for us, count in zip(event_us, tokens, strict=True):
            full, left = divmod(count, TOKENS_MAX)
            parts = [TOKENS_MAX] * full + ([left] if left or not full else [])
            times.extend([us] * len(parts))
            counts += parts
        event_us, tokens = times, counts
    return _little(event_us), _little(array("H", tokens))


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers.tobytes()

"""Where one event of a streamed body ends and the next begins: SSE and NDJSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from costaudit.record.dialects.dialect import Framing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EVENT_BYTES = 8_388_608  # a longer event is no output of a model
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r){2}")
_SSE = Framing.SSE  # to look it up takes as long as a call
_BOM = b"\xef\xbb\xbf"


class FramingFault(Exception):  # noqa: N818 - caught inside this room, shown as a sentence
    """The body holds no events; the sentence says why."""


class Splitter:
    """Cuts a body, fed in pieces, into blocks: what stands between two blank lines, or lines."""

    __slots__ = ("_blank", "_parts", "_size", "_sse")

    def __init__(self, framing: Framing) -> None:
        self._sse = framing is _SSE
        self._blank = b"\n\n" if self._sse else b"\n"
        self._parts: list[bytes] = []  # behind the last separator
        self._size = 0

    @property
    def empty(self) -> bool:
        """Nothing stands behind the last separator."""
        return not self._parts

    def whole_events(self, pieces: Sequence[bytes]) -> list[bytes]:
        """The payloads, where each piece is one event of one `data` line; else nothing.

        That is how nearly every server writes them: a chunk for each event.
        """
        if self._parts or not self._sse:
            return []
        bodies = [piece[6:-2] for piece in pieces]
        text = b"".join(bodies)
        again = b"data: %b\n\n" % b"\n\ndata: ".join(bodies)
        plain = b"\n" not in text and b"\r" not in text and all(bodies)
        return bodies if plain and again == b"".join(pieces) else []

    def blocks(self, pieces: Iterable[bytes], ends: Iterable[int]) -> Iterator[tuple[bytes, int]]:
        """Whole blocks, each with the raw offset at which it was complete.

        `ends` are the raw offsets at which the pieces end.

        Raises:
            FramingFault: an event without end.
        """
        for piece, end in zip(pieces, ends, strict=True):
            if b"\n" in piece or b"\r" in piece:
                yield from self._cut(piece, end)
            else:
                self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._size += len(piece)
        if self._size > EVENT_BYTES:
            raise FramingFault(f"one event is longer than {EVENT_BYTES} bytes")

    def _cut(self, piece: bytes, end: int) -> Iterator[tuple[bytes, int]]:
        text = self.rest() + piece
        base = end - len(text)
        place = 0
        carriage = self._sse and b"\r" in text
        while True:
            if carriage:
                found = _BLANK_LINE.search(text, place)
                start, stop = found.span() if found else (-1, -1)
            else:
                start = text.find(self._blank, place)
                stop = start + len(self._blank)
            if start < 0:
                break
            yield text[place:start], base + stop
            place = stop
        if place < len(text):
            self._keep(text[place:])

    def rest(self) -> bytes:
        """What stands behind the last separator: nothing, in a whole stream."""
        rest = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return rest


def payload(block: bytes, framing: Framing) -> bytes:
    """What an event says; empty for a comment, a keep-alive or an event without data.

    SSE as in the WHATWG HTML standard, §9.2.6: `data` lines are joined by line feeds, the space
    after the colon is optional, lines that begin with a colon are comments. NDJSON: the line.
    """
    if framing is not _SSE:
        return block.strip()
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return block[6:]
    lines = []
    for line in _LINE_END.split(block.removeprefix(_BOM)):
        name, _, value = line.partition(b":")
        if name in {b"data", b"error"}:  # `error:` is llama.cpp's own field for a failure
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines)

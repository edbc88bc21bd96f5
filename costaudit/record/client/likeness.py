"""Events that differ from one already read in the text of one JSON string only.

Nearly all events of a stream are such: the same bytes, but for the token. Reading one costs as
much as receiving it; recognising it costs a tenth.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.record.dialects.dialect import Chunk

# The inside of a JSON string that is not empty: no quote, no control character, whole escapes.
_TEXT = rb"(?:[^\"\\\x00-\x1f]++|\\[^\x00-\x1f])++"
_INSIDE = re.compile(_TEXT)
_ALL_INSIDE = re.compile(_TEXT + rb"(?:\n" + _TEXT + rb")*+")


class Likeness:
    """Learns from events that were read, and recognises their like.

    Two events that mean the same and differ inside one JSON string prove that this string's text
    carries no meaning for us. A third that has the same bytes around a string there means the
    same, whatever the string says. An empty one may mean something else and is never recognised.
    """

    __slots__ = ("_after", "_before", "_head", "_tail", "chunk")

    def __init__(self) -> None:
        self.chunk: Chunk | None = None  # what the last event, and all its like, mean
        self._before = b""  # the last event that was read
        self._head = b""  # the bytes in front of the string's text; empty: nothing learnt yet
        self._tail = b""
        self._after = 0

    @property
    def learnt(self) -> bool:
        """Is there anything to recognise?"""
        return bool(self._head)

    def same(self, block: bytes) -> bool:
        """Does this event mean what `chunk` says?"""
        head = self._head
        return (
            bool(head)
            and block.startswith(head)
            and block.endswith(self._tail)
            and _INSIDE.fullmatch(block, len(head), len(block) - self._after) is not None
        )

    def all_same(self, pieces: list[bytes], separator: bytes) -> bool:
        """Is each piece one such event and its separator?

        Takes the text out of each, puts what is constant around it again and compares; far fewer
        steps than asking each by itself.
        """
        head, close = self._head, self._tail + separator
        before, behind = len(head), len(close)
        if not head or min(map(len, pieces)) <= before + behind:
            return False
        texts = [piece[before:-behind] for piece in pieces]
        again = b"".join((head, (close + head).join(texts), close))
        return again == b"".join(pieces) and _ALL_INSIDE.fullmatch(b"\n".join(texts)) is not None

    def learn(self, block: bytes, chunk: Chunk) -> None:
        """This event was read, and means `chunk`."""
        before, self._before = self._before, block
        if chunk.done or chunk.error or chunk.finish_reason or not chunk.output:
            self._before = b""
            return
        alike, self.chunk = chunk is self.chunk or chunk == self.chunk, chunk
        self._head = b""
        if not before or not alike or before == block:
            return
        start, stop = _shared(before, block)
        head = block[: block.rfind(b'"', 0, start) + 1]
        quote = block.find(b'"', len(block) - stop) if stop else -1
        if quote < 0 or not head or b"\\" in head or not head.count(b'"') % 2:
            return
        tail = block[quote:]
        if _within(before, head, tail) and _within(block, head, tail):
            self._head, self._tail, self._after = head, tail, len(tail)


def _within(block: bytes, head: bytes, tail: bytes) -> bool:
    return _INSIDE.fullmatch(block, len(head), len(block) - len(tail)) is not None


def _shared(one: bytes, other: bytes) -> tuple[int, int]:
    """Lengths of the longest common beginning and, behind it, of the longest common end."""
    most = min(len(one), len(other))
    start = _grow(one, other, most)
    return start, _grow(one[::-1], other[::-1], most - start)


def _grow(one: bytes, other: bytes, most: int) -> int:
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low

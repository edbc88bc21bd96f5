"""Bodies taken apart: whole chunks of HTTP's chunked coding, events that differ in one text."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from itertools import accumulate, repeat
from itertools import count as count_from
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_KNOWN_SIZES = 4_096
MANY_BYTES = 2_048  # of chunks, from which they are split at once
_LINE_END = re.compile(rb"\r\n")
_SOME = 8  # that are alike before it is worth to look at all others
_HEAD, _TAIL = b"data: ", b"\n\n"
_CONTROL = bytes(range(32))  # none of these may stand in a string of JSON as it is


class _Sizes(dict[bytes, int]):
    """Chunk sizes by how they are written: a server writes few different ones."""

    def __missing__(self, line: bytes) -> int:
        size = int(line, 16)
        if len(self) < _KNOWN_SIZES:
            self[line] = size
        return size


_SIZES = _Sizes()


class Parts:
    """Stretches of a body in their order.

    `pieces[k]` stands for `counts[k]` in a row that say the same (see `whole_chunks`); `ends` has
    of each of them all where it ends in the raw stream.
    """

    __slots__ = ("counts", "ends", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.counts: list[int] = []
        self.ends = array("q")

    def add(self, piece: bytes, end: int) -> None:
        """One more, like none before it."""
        self.pieces.append(piece)
        self.counts.append(1)
        self.ends.append(end)

    def add_all(self, pieces: list[bytes], counts: list[int], ends: bytes) -> None:
        """What `whole_chunks` has told."""
        self.pieces += pieces
        self.counts += counts
        self.ends.frombytes(ends)

    def every(self) -> list[bytes]:
        """One for each end: of those that say the same, the first again and again."""
        both = zip(self.pieces, self.counts, strict=True)
        return [piece for piece, count in both for _ in range(count)]

    def clear(self) -> None:
        """They were read."""
        self.pieces.clear()
        self.counts.clear()
        del self.ends[:]


def whole_chunks(
    data: bytes, place: int, taken: int, names: tuple[bytes, ...]
) -> tuple[int, list[bytes], list[int], bytes]:
    """The whole chunks that stand at `place`, as far as that is easily told.

    The place behind them, then `pieces` and `counts` as in `Parts`, and where each chunk ends,
    `taken` bytes before the data, as int64 of this machine. A server writes one event after the
    other from one template, into which it puts the token's text: of a row of chunks that are one
    event each and differ in nothing but a text behind one of these `names`, the first is told, and
    how many they are. Where it matters of that text that it is not empty, and no more, they all say
    what the first of them says. What is unusual, and the empty chunk at the end, is left to the
    caller.
    """
    if len(data) - place <= MANY_BYTES:
        return place, [], [], b""
    parts = _LINE_END.split(data[place:])  # thrice as fast as bytes.split
    count = (len(parts) - 1) // 2
    try:
        sizes = [*map(_SIZES.__getitem__, parts[0 : 2 * count : 2])]
    except ValueError:
        return place, [], [], b""
    if sizes and not sizes[-1]:
        sizes.pop()  # the end of the body is not for us
    del parts[2 * len(sizes) :]
    lengths = [*map(len, parts)]
    if not sizes or sizes != lengths[1::2]:  # one holds a line end
        return place, [], [], b""
    # Each part but the last of these has a line end behind it.
    ends = array("q", map(add, [*accumulate(lengths)][1::2], count_from(taken + place + 2, 4)))
    return ends[-1] + 2 - taken, *_rows(parts[1::2], names), ends.tobytes()


def _rows(chunks: list[bytes], names: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
    pieces: list[bytes] = []
    counts: list[int] = []
    place = 0
    while place < len(chunks):
        count = 0
        if (parts := _around(chunks[place], names)) is not None:
            count = _alike(chunks[place : place + _SOME], *parts)
            if count == _SOME:
                count += _alike(chunks[place + _SOME :], *parts)
        pieces.append(chunks[place])
        counts.append(max(1, count))
        place += counts[-1]
    return pieces, counts


def _around(piece: bytes, names: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """What stands before and behind the text of an event; None where that cannot be told.

    A name in quotes with a colon behind is a key, unless its first quote is an escaped one.
    """
    said = piece[len(_HEAD) : -len(_TAIL)]
    if piece != _HEAD + said + _TAIL or b"\n" in said or b"\r" in said:
        return None
    for name in names:
        place = piece.find(key := b'"%b":' % name)
        start = place + len(key) + piece.startswith(b" ", place + len(key)) + 1
        stop = piece.find(b'"', start)
        if place < 0 or stop <= start or piece[start - 1 : start] != b'"':
            continue
        if piece[place - 1 : place] != b"\\" and b"\\" not in piece[start:stop]:
            return piece[:start], piece[stop:]
    return None


def _alike(row: list[bytes], before: bytes, behind: bytes) -> int:
    """How many of these in a row are `before`, a text, `behind`."""
    count, least = len(row), len(before) + len(behind)

    def fits(piece: bytes) -> bool:
        return len(piece) > least and piece.startswith(before) and piece.endswith(behind)

    while count and not fits(row[count - 1]):  # what ends a stream
        count -= 1
    del row[count:]
    start, stop = len(before), -len(behind)
    texts = [piece[start:stop] for piece in row]
    again = before + (behind + before).join(texts) + behind
    if again == b"".join(row) and _strings(texts):
        return count
    checked = zip(row, texts, strict=True)
    wrong = (n for n, (piece, text) in enumerate(checked) if not (fits(piece) and _strings([text])))
    return next(wrong, 0)


def _strings(texts: Sequence[bytes]) -> bool:
    """Each may stand between quotes of JSON, as valid UTF-8, and is not empty."""
    said = b" ".join(texts)
    plain = said.replace(b"\\n", b"")  # an escape of which others cannot be a part
    if b'"' in said or b"\\" in plain or len(said.translate(None, _CONTROL)) != len(said):
        return False
    try:
        said.decode()
    except UnicodeDecodeError:
        return False
    return all(texts)


def stamped(
    offsets: array[int], read_ends: list[int], read_us: list[int]
) -> tuple[bytes, int, int, int]:
    """Of each offset the time of the read that completed it, as uint32 of this machine.

    Also how many different reads that were, and the ends of the first and the last of them.
    Offsets and ends never fall; there is one offset at least.

    Raises:
        IndexError: an offset lies behind every read.
    """
    reads = [*map(bisect_left, repeat(read_ends), offsets)]
    times = array("I", [read_us[read] for read in reads])
    return times.tobytes(), len({*reads}), read_ends[reads[0]], read_ends[reads[-1]]

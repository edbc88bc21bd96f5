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
_MANY_BYTES = 2_048  # of chunks, from which they are split at once
_LINE_END = re.compile(rb"\r\n")
_LOOK_AT = 4  # events that begin otherwise: a role, an empty text, an escape
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


def whole_chunks(data: bytes, place: int, taken: int, pieces: list[bytes], ends: list[int]) -> int:
    """The place behind the whole chunks that stand at `place`, as far as that is easily told.

    Appends each to `pieces`, and to `ends` where it ends, counted from `taken` before the data.
    What is unusual, and the empty chunk at the end, is left to the caller.
    """
    if len(data) - place <= _MANY_BYTES:
        return place
    parts = _LINE_END.split(data[place:])  # thrice as fast as bytes.split
    count = (len(parts) - 1) // 2
    try:
        sizes = [*map(_SIZES.__getitem__, parts[0 : 2 * count : 2])]
    except ValueError:
        return place
    if sizes and not sizes[-1]:
        sizes.pop()  # the end of the body is not for us
    del parts[2 * len(sizes) :]
    lengths = [*map(len, parts)]
    if not sizes or sizes != lengths[1::2]:  # one holds a line end
        return place
    pieces += parts[1::2]
    # Each part but the last of these has a line end behind it.
    ends += map(add, [*accumulate(lengths)][1::2], count_from(taken + place + 2, 4))
    return ends[-1] + 2 - taken


def text_run(pieces: list[bytes], names: Sequence[bytes]) -> tuple[int, int]:
    """The first of a row of pieces that differ in one text, near the beginning, and how many.

    Each is an event of one `data` line, with a text behind one of these `names` that is not empty.
    None at all: (0, 0).
    """
    for first, piece in enumerate(pieces[:_LOOK_AT]):
        if (parts := _around(piece, names)) is not None:
            return first, _alike(pieces[first:], *parts)
    return 0, 0


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
    offsets: list[int], read_ends: list[int], read_us: list[int]
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

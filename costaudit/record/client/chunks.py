"""Bodies taken apart: whole chunks of HTTP's chunked coding, and events that differ in one text."""

from __future__ import annotations

import re
from itertools import accumulate
from itertools import count as count_from
from operator import add
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_KNOWN_SIZES = 4_096
_MANY_BYTES = 2_048  # of chunks, from which they are split at once
_LINE_END = re.compile(rb"\r\n")
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


def alike(pieces: Sequence[bytes], first: int, before: bytes, behind: bytes) -> int:
    """How many of the pieces, from `first` on and in a row, are `before`, a text, `behind`.

    The text is not empty and may stand between quotes of JSON.
    """
    count, least = len(pieces) - first, len(before) + len(behind)

    def fits(piece: bytes) -> bool:
        return len(piece) > least and piece.startswith(before) and piece.endswith(behind)

    while count and not fits(pieces[first + count - 1]):  # what ends a stream
        count -= 1
    row = pieces[first : first + count]
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

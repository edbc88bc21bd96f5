"""Events that say the same but for their text: nearly all of a stream, told without parsing.

A server writes one event after the other from one template, into which it puts the token's text.
Where an event is output only because some text in it is not empty, an event with another text in
its place says exactly the same. So one of a run of them is parsed, the others are split bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.record.client.wire import alike
from costaudit.record.dialects.dialect import OUTPUT, Chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.dialects.dialect import Dialect

FEWEST = 8  # pieces from which it is worth to look
_LOOK_AT = 4  # events that begin otherwise: a role, an empty text, an escape
_HEAD, _TAIL = b"data: ", b"\n\n"


@dataclass(frozen=True, slots=True)
class Run:
    """`count` pieces from the place `first` on, each of which says `chunk`."""

    first: int
    count: int
    chunk: Chunk


def run_of(dialect: Dialect, pieces: Sequence[bytes]) -> Run | None:
    """A run near the beginning: pieces that are one `data:` event each and differ in one text."""
    if len(pieces) < FEWEST or not dialect.texts:
        return None
    for first, piece in enumerate(pieces[:_LOOK_AT]):
        parts = _around(piece, dialect.texts)
        if parts is not None:
            chunk = dialect.read(piece[len(_HEAD) : -len(_TAIL)])
            count = alike(pieces, first, *parts) if _plain(chunk) else 0
            return Run(first, count, chunk) if count >= FEWEST else None
    return None


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


def _plain(chunk: Chunk) -> bool:
    """It is output and says nothing else but a number of tokens, the same for every text."""
    return chunk is OUTPUT or (chunk.output and chunk == Chunk(output=True, tokens=chunk.tokens))

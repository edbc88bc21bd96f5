"""Events that say the same but for their text: nearly all of a stream, told without parsing.

A server writes one event after the other from one template, into which it puts the token's text.
Where an event is output only because some text in it is not empty, an event with another text in
its place says exactly the same. So one of a run of them is parsed, the others are split bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.record.client.wire import text_run
from costaudit.record.dialects.dialect import OUTPUT, Chunk

if TYPE_CHECKING:
    from costaudit.record.dialects.dialect import Dialect

FEWEST = 8  # pieces from which it is worth to look


@dataclass(frozen=True, slots=True)
class Run:
    """`count` pieces from the place `first` on, each of which says `chunk`."""

    first: int
    count: int
    chunk: Chunk


def run_of(dialect: Dialect, pieces: list[bytes]) -> Run | None:
    """A run near the beginning: pieces that are one `data:` event each and differ in one text."""
    if len(pieces) < FEWEST or not dialect.texts:
        return None
    first, count = text_run(pieces, dialect.texts)
    if count < FEWEST:
        return None
    chunk = dialect.read(pieces[first].removeprefix(b"data: ").removesuffix(b"\n\n"))
    return Run(first, count, chunk) if _plain(chunk) else None


def _plain(chunk: Chunk) -> bool:
    """It is output and says nothing else but a number of tokens, the same for every text."""
    return chunk is OUTPUT or (chunk.output and chunk == Chunk(output=True, tokens=chunk.tokens))

"""Requests that are made before a stream is free for them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from costaudit.record.client.load import Shot


class Ahead:
    """Shots in their order, of which up to `most` are made in idle moments.

    A prompt takes as long to make as an answer to be read: where many streams become free at once,
    making theirs would keep the client from reading. Only for shots that depend on no answer; they
    are drawn from their source early, and from here when they are sent. `requests` bounds them.
    """

    def __init__(self, shots: Iterable[Shot], *, most: int, requests: int) -> None:
        self._source = iter(shots)
        self._most = most
        self._left = requests
        self._made: deque[Shot] = deque()

    def __iter__(self) -> Iterator[Shot]:
        return self

    def __next__(self) -> Shot:
        if not self._made and not self._make():
            raise StopIteration
        return self._made.popleft()

    def make(self) -> bool:
        """Make one more; False where there are enough."""
        return len(self._made) < self._most and self._make()

    def _make(self) -> bool:
        shot = next(self._source, None) if self._left > 0 else None
        self._left -= 1
        if shot is not None:
            self._made.append(shot)
        return shot is not None

    def filled(self) -> Self:
        """With as many as may be made."""
        while self.make():
            pass
        return self

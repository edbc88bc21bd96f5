"""When the next request is due: as soon as a stream is free, or at its intended start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.client.load import Rung, Shot

_NS = 1_000_000_000


class Pace:
    """Hands out the shots of a rung, each when it is due, and never one too many.

    A shot of a closed loop is drawn when a stream is free for it, not earlier: what it asks may
    depend on the answers before it.
    """

    __slots__ = ("_drawn", "_held", "_last_ns", "_most", "_shots", "began_ns", "over")

    def __init__(self, rung: Rung, began_ns: int) -> None:
        self._shots: Iterator[Shot] = iter(rung.shots)
        self._most = rung.requests
        self._drawn = 0
        self._held: Shot | None = None
        self.began_ns = began_ns
        self._last_ns = None if rung.window_s is None else began_ns + int(rung.window_s * _NS)
        self.over = False  # no shot is left

    def take(self, now_ns: int) -> Shot | None:
        """A shot that is due now; None where none is."""
        if self._last_ns is not None and now_ns >= self._last_ns:
            self.over = True
        if self.over:
            return None
        shot = self._held or self._draw()
        if shot is None:
            self.over = True
        elif shot.start_s is not None and self.due_ns(shot) > now_ns:
            self._held = shot
            return None
        self._held = None
        return shot

    def due_ns(self, shot: Shot) -> int:
        """The intended start of a shot that has one."""
        return self.began_ns + int((shot.start_s or 0.0) * _NS)

    def next_ns(self) -> int | None:
        """When to ask again; None: when a stream is free."""
        if self.over or self._held is None:
            return None
        due = self.due_ns(self._held)
        return due if self._last_ns is None else min(due, self._last_ns)

    def _draw(self) -> Shot | None:
        if self._drawn >= self._most:
            return None
        self._drawn += 1
        return next(self._shots, None)

"""What has come and waits to be read: while it is read, nothing is received."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.record.client.exchange import Exchange

# It is read for so long at a stretch, then what came meanwhile is received; for longer only where
# so many answers wait, or one for each stream.
_STRETCH_NS, _MOST_WAITING = 1_000_000, 64


class Backlog:
    """Exchanges that are over, for `finished`, and long ones under way; empty means false."""

    __slots__ = ("_finished", "_most", "_waiting")

    def __init__(self, *, streams: int, finished: Callable[[Exchange], None]) -> None:
        self._finished = finished
        self._most = max(_MOST_WAITING, streams)
        self._waiting: deque[Exchange] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def over(self, exchange: Exchange) -> None:
        """It is over; where it waits already, it will be found so."""
        if not exchange.queued:
            self._waiting.append(exchange)
        exchange.queued = False

    def under_way(self, exchange: Exchange) -> None:
        """Much of it waits to be read."""
        if not exchange.queued:
            self._waiting.append(exchange)
        exchange.queued = True

    def read(self) -> None:
        """One exchange at least, others as long as there is time."""
        until_ns = time.time_ns() + _STRETCH_NS
        while self._waiting:
            exchange = self._waiting.popleft()
            if exchange.queued:
                exchange.queued = False
                exchange.digest()
            else:
                self._finished(exchange)
            if len(self._waiting) < self._most and time.time_ns() > until_ns:
                break

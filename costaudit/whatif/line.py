"""The line in front of the engine: who has arrived, in which order, open loop or closed."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.traffic.traffic import Request, Traffic


@dataclass(slots=True, kw_only=True, eq=False)
class Live:
    """One request on its way through the engine; tokens and blocks as of now.

    `left` output tokens are still to come, `cached` tokens are in the KV memory, `target` of them
    must be before a prefill yields the next token, `lost` were cached when it was preempted.
    """

    order: int
    request: Request
    arrival_s: float
    left: int
    target: int
    cached: int = 0
    lost: int = 0
    first_s: float = math.nan
    entered_s: float = math.nan
    entered_tokens: int = 0  # written by the step in which it entered
    own_blocks: int = 0
    shared_blocks: int = 0

    @property
    def produced(self) -> int:
        """Output tokens so far."""
        return self.request.output_tokens - self.left


def final_tokens(request: Request) -> int:
    """Cached tokens at the end: the last output token is never fed back."""
    return request.prompt_tokens + max(request.output_tokens, 1) - 1


@dataclass(slots=True, kw_only=True)
class Line:
    """Arrived requests in FCFS order (`waiting`) and those still to come."""

    requests: tuple[Request, ...]
    closed: bool
    waiting: deque[Live] = field(default_factory=deque)
    _next: int = 0

    @property
    def over(self) -> bool:
        """Nobody waits and nobody will come, except on the heels of a request that runs."""
        return not self.waiting and self._next == len(self.requests)

    @property
    def next_arrival_s(self) -> float:
        """When the next one comes by itself; inf in a closed loop or when all are here."""
        if self.closed or self._next == len(self.requests):
            return math.inf
        return self.requests[self._next].arrival_s

    def arrive(self, now: float) -> None:
        """Let in everybody who has come by `now` (open loop)."""
        while self.next_arrival_s <= now:
            self._enter(self.next_arrival_s)

    def replace(self, finished: int, now: float) -> None:
        """Closed loop: each finished request makes room for the next one."""
        if self.closed:
            for _ in range(min(finished, len(self.requests) - self._next)):
                self._enter(now)

    def full_at_s(self, size: int) -> float:
        """When `size` requests wait, if nobody is served meanwhile; inf: never by itself."""
        missing = size - len(self.waiting)
        if missing <= 0:
            return -math.inf
        last = self._next + missing - 1
        if self.closed or last >= len(self.requests):
            return math.inf
        return self.requests[last].arrival_s

    def last_arrival_s(self) -> float:
        """When the last one comes by itself; -inf when nobody does."""
        return -math.inf if math.isinf(self.next_arrival_s) else self.requests[-1].arrival_s

    def _enter(self, arrival_s: float) -> None:
        request = self.requests[self._next]
        live = Live(
            order=self._next,
            request=request,
            arrival_s=arrival_s,
            left=request.output_tokens,
            target=request.prompt_tokens,
        )
        self.waiting.append(live)
        self._next += 1


def line_of(traffic: Traffic) -> Line:
    """The line of a traffic at time zero."""
    line = Line(requests=traffic.requests, closed=traffic.concurrency is not None)
    line.replace(traffic.concurrency or 0, 0.0)
    return line

"""When a replay has run long enough: warm, steady, and its interval narrow."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.ground.steady import BATCHES, Rate, steady_rate
from costaudit.recording.answers import token_flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.recording.rows import Answer

LOOK_EVERY_S = 0.5
SHORTEST_BATCH_S = 0.4
SLOT_S = 0.005  # a look costs by the slots, not by the tokens: the client waits for it
LIVES = 3  # lives of the longest request that the window spans at least


@dataclass(slots=True, kw_only=True)
class Steady:
    """Watches the answers of a closed loop; `stop` says when nothing more need be sent.

    Steady means: after each of the `concurrency` streams has ended its first request, so that the
    streams are out of step. The window ends one longest request ago: what still runs is not counted
    yet. Once all that was sent has ended whole it ends with the last request sent: until then every
    stream was busy. It spans at least one cycle of the workload, ten batches and three lives.
    """

    concurrency: int
    cycle: int  # requests in one cycle of the workload
    half_share: float
    longest_s: float  # of the whole replay
    clock_s: Callable[[], float] = time.monotonic
    tokens: dict[int, float] = field(default_factory=dict)  # by slots of SLOT_S
    ends_s: list[float] = field(default_factory=list)
    life_s: float = 0.0  # of the longest request …
    later_life_s: float = 0.0  # … and of those that did not all begin together
    first_end_s: float = math.inf
    sent_s: float = 0.0  # of the last request
    failed: int = 0
    began_s: float | None = None
    looked_s: float = 0.0

    def watch(self, answer: Answer) -> None:
        """Take one answer into account."""
        if not answer.ok:
            self.failed += 1
            return
        came_s, tokens = token_flow(answer)
        for at_s, count in zip(came_s, tokens, strict=True):
            slot = int(at_s / SLOT_S)
            self.tokens[slot] = self.tokens.get(slot, 0.0) + count
        self.ends_s.append(answer.end_s)
        self.sent_s = max(self.sent_s, answer.sent_s)
        self.first_end_s = min(self.first_end_s, answer.end_s)
        life_s = answer.end_s - answer.sent_s
        self.life_s = max(self.life_s, life_s)
        if answer.sent_s >= self.first_end_s:
            self.later_life_s = max(self.later_life_s, life_s)

    def stop(self) -> str:
        """A sentence once the interval is narrow enough or what is sent would end late, else ""."""
        now_s = self.clock_s()
        if self.began_s is None:
            self.began_s = now_s
        if now_s - self.looked_s < LOOK_EVERY_S:
            return ""
        self.looked_s = now_s
        if now_s + (self.later_life_s or self.life_s) - self.began_s > self.longest_s:
            return "the time for the replay is over"
        rate = self.rate()
        if rate is None or not self._long_enough(rate):
            return ""
        return "the interval is narrow enough" if rate.half_share <= self.half_share else ""

    def rate(self, *, ended: bool = False) -> Rate | None:
        """Tokens per second over the steady window so far; `ended`: nothing is under way now."""
        if len(self.ends_s) <= self.concurrency:
            return None
        from_s = sorted(self.ends_s)[self.concurrency - 1]
        to_s = max(self.ends_s) - self.life_s
        if ended and not self.failed:
            to_s = max(to_s, self.sent_s)
        if to_s <= from_s:
            return None
        at_s = [(slot + 0.5) * SLOT_S for slot in self.tokens]
        return steady_rate(at_s, [*self.tokens.values()], from_s=from_s, to_s=to_s)

    def _long_enough(self, rate: Rate) -> bool:
        span_s = rate.to_s - rate.from_s
        whole = len(self.ends_s) >= self.cycle + self.concurrency
        return whole and span_s >= max(BATCHES * SHORTEST_BATCH_S, LIVES * self.life_s)

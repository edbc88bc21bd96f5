"""Whether the server answers slower than it did: the p95 of our own TTFTs, like with like."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from costaudit.ground.stats import percentile

FIRST = 20  # of a kind of request, the usual: so many, or those of its first rung
WINDOW = 64  # the last TTFTs that are judged: a single burst that was held up is not 5 % of them …
SLOWER_S = 0.25  # … and times this small tell of the operating system, not of the server
P95 = 0.95


@dataclass(slots=True, kw_only=True)
class Slowing:
    """Each TTFT is taken over the p95 of the first of its own kind (a step probe, the replay)."""

    usual_s: dict[str, list[float]] = field(default_factory=dict)
    rungs: dict[str, str] = field(default_factory=dict)  # the first rung of each kind
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def note(self, kind: str, rung: str, ttft_s: float) -> None:
        """Take one good answer of a rung into account."""
        usual = self.usual_s.setdefault(kind, [])
        if rung == self.rungs.setdefault(kind, rung) and len(usual) < FIRST:
            usual.append(ttft_s)
            return
        before_s = percentile(usual, P95)
        if before_s > 0:
            self.recent.append((ttft_s / before_s, ttft_s - before_s))

    def factor(self) -> float | None:
        """The p95 of the last TTFTs over what was usual; None where too few tell."""
        if len(self.recent) < WINDOW:
            return None
        return percentile([r if by > SLOWER_S else 1.0 for r, by in self.recent], P95)

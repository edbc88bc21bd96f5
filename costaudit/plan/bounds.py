"""The latency that the workload asks for, and which sets of steps keep it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# A bound that is broken today anyway may get worse by so much: less is the simulation's grain.
GRAIN_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a scenario comes to: cost per 1M tokens, and p95 latencies by the SLO's names."""

    cost: float
    latency_s: Mapping[str, float] = field(default_factory=dict)


NOTHING_RUNS = Worth(cost=math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A bound of the SLO ("ttft_s", "itl_s") and the p95 that is over it; `after`: which step."""

    what: str
    seconds: float
    bound_s: float
    after: str = ""  # "" for today


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The SLO's bounds, and how today stands to them."""

    slo: Mapping[str, float]
    today: Mapping[str, float]

    def breaches(self, worth: Worth, after: str = "") -> tuple[Breach, ...]:
        """Bounds that these latencies are over; a latency that is not told breaks nothing."""
        return tuple(
            Breach(what=name, seconds=worth.latency_s[name], bound_s=bound, after=after)
            for name, bound in self.slo.items()
            if worth.latency_s.get(name, 0.0) > bound
        )

    def missed(self, worth: Worth) -> int | None:
        """How many bounds are broken; None where one is that is kept today, or more than today.

        What a plan may not pass through, even on the way to something better.
        """
        return None if self.worsened(worth) else len(self.breaches(worth))

    def worsened(self, worth: Worth) -> tuple[Breach, ...]:
        """Bounds that are broken and are kept today, or that are broken further than today."""
        return tuple(b for b in self.breaches(worth) if b.seconds > self._worst(b.what))

    def _worst(self, name: str) -> float:
        return self.today.get(name, 0.0) * (1 + GRAIN_SHARE)


def bounds_of(slo: Mapping[str, float], today: Worth) -> Bounds:
    """The bounds of a workload's SLO; zero or absent is no bound."""
    bounds = {name: slo[name] for name in ("ttft_s", "itl_s") if slo.get(name)}
    return Bounds(slo=bounds, today=today.latency_s)

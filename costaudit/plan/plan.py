"""The plan: what each step saves, in which order, and what the usual orders come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.ground.stats import Interval
    from costaudit.plan.bounds import Breach
    from costaudit.playbook.step import Evidence


class Verdict(StrEnum):
    """What became of a step; one that applies but costs more than it saves does not apply here."""

    APPLIES = "applies"
    DOES_NOT_APPLY = "does-not-apply"
    CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What is saved, as a share of the present bill and in the plan's unit; below zero: a loss.

    `point_share` is the middle of the cautious and the hopeful edge under the fitted step times;
    the marginals' points sum to the joint one. The interval covers both edges, the draws of the
    step times and their held-out error.
    """

    point_share: float
    share: Interval
    cost: Interval  # per 1M tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """What a commitment made today is paid to the end of its term, per 1M tokens of today's need.

    Who commits first pays `commit_first` whatever the other steps free; who makes these first is
    left with `engineering_first`, the cautious cost of the best order. The difference is stranded.
    """

    commit_first: float
    engineering_first: float
    term: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step in the plan.

    `rank` is its place in the best order from 1, None outside it; `why_not` says why outside.
    `standalone` is alone on today's scenario (with what it requires, whose own saving is not
    counted); `marginal` is what it adds after those before it in the best order. `breaks` are the
    bounds of the SLO that it would break, made alone today.
    """

    id: str
    rank: int | None
    verdict: Verdict
    why_not: str
    standalone: Saving | None
    marginal: Saving | None
    evidence: tuple[Evidence, ...]
    breaks: tuple[Breach, ...] = ()
    stranded: Stranded | None = None  # of a commitment before engineering that pays


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A priced order of steps; costs per 1M tokens in the plan's unit.

    Each path begins with the present cost and holds the cost after each step: `cautious_path`
    where every change brings the least it may, `hopeful_path` where it brings the most. `breaks`
    names each bound of the SLO that is broken after a step, `latency_s` is what is left in the end.
    """

    name: str
    ids: tuple[str, ...]
    cautious_path: tuple[float, ...]
    hopeful_path: tuple[float, ...]
    breaks: tuple[Breach, ...] = ()
    latency_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """What is left in the end, if every change brings the least it may."""
        return self.cautious_path[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A set of steps that no other beats in cost and every latency at once.

    The cost is the cautious one per 1M tokens, latencies are p95 by the SLO's names.
    """

    ids: tuple[str, ...]
    cost: float
    latency_s: Mapping[str, float]
    breaks: tuple[Breach, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The best order, every step of the playbook, and the conventional orders beside it.

    `steps` begins with those of the best order. No order of applicable steps ends at a lower
    cautious cost than `best` (up to eight applicable steps; beyond, none that the beam met) and
    breaks no bound of the SLO on the way that is kept today. `unbound` is the best order for
    those who do not mind the SLO, None where it costs nothing. Over long traffic the search
    compares sets over a sample of it and prices what it found over the whole.
    """

    unit: str  # of all costs: "usd" or "device_s", per 1M tokens
    present_cost: float
    steps: tuple[PlannedStep, ...]
    best: Order
    conventional: tuple[Order, ...]
    cumulative: tuple[Saving, ...]  # of the best order up to and with each of its steps
    slo: Mapping[str, float] = field(default_factory=dict)
    today_s: Mapping[str, float] = field(default_factory=dict)  # p95 latencies
    today_breaks: tuple[Breach, ...] = ()
    unbound: Order | None = None
    front: tuple[Point, ...] = ()  # the cheapest first
    exact: bool = True  # whether all sets of the applicable steps were compared
    sampled: bool = False  # whether over a sample of the traffic

    @property
    def joint(self) -> Saving | None:
        """What all steps of the best order save together; None where it is empty."""
        return self.cumulative[-1] if self.cumulative else None

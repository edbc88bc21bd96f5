"""The search through the lattice of sets of steps for the best set and the best way there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.playbook.step import Effort, Risk, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EXACT_UP_TO = 8  # steps: all 256 sets are priced
BEAM_WIDTH = 6  # sets kept of each size beyond that
DIGITS = 9  # costs closer than this, relative to the present one, are equal

# Working days until a step takes effect; while they pass, the bill before it is paid.
EFFORT_DAYS = {Effort.FLAG: 0.5, Effort.DAYS: 5.0, Effort.WEEKS: 20.0, Effort.CONTRACT: 10.0}
RISK_RANK = {Risk.NONE: 0, Risk.LATENCY: 1, Risk.QUALITY: 2, Risk.COMMITMENT: 3}

Ids = frozenset[str]
_WayKey = tuple[float, tuple[float, ...], tuple[int, ...], tuple[str, ...]]
_Key = tuple[int, float, int, _WayKey]  # bounds missed, cost in the end, how many steps, the way


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A way to a set of steps; ways are compared by `key`, area first."""

    ids: tuple[str, ...]
    area: float  # bill paid on the way, cost times days, relative to the present cost
    efforts: tuple[float, ...]
    risks: tuple[int, ...]

    @property
    def key(self) -> _WayKey:
        return round(self.area, DIGITS), self.efforts, self.risks, self.ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """The sets that were reached, best first, each in the order that pays least on the way."""

    orders: tuple[tuple[str, ...], ...]
    refused: int  # sets that were not gone through for the sake of a bound

    @property
    def best(self) -> tuple[str, ...]:
        """The best order; empty where nothing is better than today."""
        return self.orders[0]


def best_order(
    steps: Sequence[Step],
    cost: Callable[[Ids], float],
    *,
    missed: Callable[[Ids], int | None] = lambda _: 0,
    width: int | None = None,
) -> tuple[str, ...]:
    """The order of `explore` that is best."""
    return explore(steps, cost, missed=missed, width=width).best


def explore(
    steps: Sequence[Step],
    cost: Callable[[Ids], float],
    *,
    missed: Callable[[Ids], int | None] = lambda _: 0,
    width: int | None = None,
) -> Explored:
    """Sets of steps by what they cost, in the order that pays least on the way there.

    Paying least on the way is the most area under the cumulated saving, each step weighted by
    its effort: Σ cost before it · its days. Ties go to fewer steps, then to less effort, then to
    less risk. `requires`, `excludes` and `last` are obeyed, and no set is gone through that could
    not run or for which `missed`, the number of bounds on latency that it breaks, is None. Of the
    sets that save, those that break fewer come first. Exact up to EXACT_UP_TO steps, the way to
    each set by dynamic programming; beyond, a beam of BEAM_WIDTH (or `width`).
    """
    if width is None and len(steps) > EXACT_UP_TO:
        width = BEAM_WIDTH
    present, today = cost(frozenset()), missed(frozenset()) or 0
    level = {frozenset[str](): _Way(ids=(), area=0.0, efforts=(), risks=())}
    keys = {way.ids: _final_key(way, 1.0, today) for way in level.values()}
    refused: set[Ids] = set()
    for _ in steps:
        grown = _grown(level, steps, cost, present)
        found: dict[Ids, _Key] = {}
        for taken, way in grown.items():
            share, broken = cost(taken) / present, missed(taken)
            if broken is None:
                refused.add(taken)
            elif math.isfinite(share):
                found[taken] = _final_key(way, share, broken if share < 1 else today)
        level = {taken: grown[taken] for taken in _kept(found, steps, width)}
        keys |= {grown[taken].ids: key for taken, key in found.items()}
    return Explored(orders=tuple(sorted(keys, key=keys.__getitem__)), refused=len(refused))


def _grown(
    level: Mapping[Ids, _Way], steps: Sequence[Step], cost: Callable[[Ids], float], present: float
) -> dict[Ids, _Way]:
    """The sets of one step more, each by its best way."""
    grown: dict[Ids, _Way] = {}
    for done, way in level.items():
        share = cost(done) / present
        for step in steps:
            if _may_follow(step, done, steps):
                longer = _longer(way, step, share)
                taken = done | {step.id}
                if taken not in grown or longer.key < grown[taken].key:
                    grown[taken] = longer
    return grown


def _kept(keys: Mapping[Ids, _Key], steps: Sequence[Step], width: int | None) -> list[Ids]:
    """The `width` best sets of each count of last steps, as these end the way for all others."""
    late = {step.id for step in steps if step.last}
    groups: dict[int, list[Ids]] = {}
    for taken in sorted(keys, key=keys.__getitem__):
        groups.setdefault(len(taken & late), []).append(taken)
    return [taken for group in groups.values() for taken in group[:width]]


def _may_follow(step: Step, done: Ids, steps: Sequence[Step]) -> bool:
    """Whether the step may come next; a requirement that is no candidate is met already."""
    if step.id in done or any(other in done for other in step.excludes):
        return False
    ids = {other.id for other in steps}
    if any(needed in ids and needed not in done for needed in step.requires):
        return False
    return not any(
        other.id in done and (step.id in other.excludes or (other.last and not step.last))
        for other in steps
    )


def _longer(way: _Way, step: Step, share: float) -> _Way:
    days = EFFORT_DAYS[step.effort]
    return _Way(
        ids=(*way.ids, step.id),
        area=way.area + share * days,
        efforts=(*way.efforts, days),
        risks=(*way.risks, RISK_RANK[step.risk]),
    )


def _final_key(way: _Way, share: float, missed: int) -> _Key:
    return missed, round(share, DIGITS), len(way.ids), way.key

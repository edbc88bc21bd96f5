"""Figures by simulation, with an interval: over the draws of the step time and its error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.bill.dollars import device_s_per_1m, usd_per_1m
from costaudit.folklore.claim import Untold
from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval, percentile
from costaudit.plan.plan import Verdict
from costaudit.plan.saving import EDGES, QUANTILES, widened
from costaudit.whatif.doubts import error_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.folklore.claim import Known
    from costaudit.playbook.step import Edge, Step
    from costaudit.whatif.scenario import Scenario

    Change = Callable[[Scenario], Scenario]

DRAWS = 4  # of the step time; a claim needs no finer interval


def share_over_draws(known: Known, share: Callable[[Scenario], float]) -> Interval:
    """A share of seconds (below 1) of today's scenario, under the fitted step time and draws.

    Widened by the simulation's error as a saving is.
    """
    return shares_over_draws(known, lambda today: (share(today),))[0]


def shares_over_draws(
    known: Known, shares: Callable[[Scenario], Sequence[float]]
) -> tuple[Interval, ...]:
    """Likewise of several that come out of the same simulation."""
    found = [shares(start) for start in _starts(known)]
    return tuple(_spread(known, [each]) for each in zip(*found, strict=True))


def saving(known: Known, before: Change, after: Change) -> Interval:
    """Share of the device-seconds per token of `before` that `after` saves; below zero: a loss."""
    return share_over_draws(
        known,
        lambda today: 1 - device_s_per_1m(after(today)) / device_s_per_1m(before(today)),
    )


def step_saving(known: Known, step_id: str) -> Interval | Untold:
    """What a step of the playbook saves alone: as planned, or by its change where it does not pay.

    Untold where the plan cannot tell.
    """
    planned = next(p for p in known.plan.steps if p.id == step_id)
    if planned.standalone is not None:
        return planned.standalone.share
    if planned.verdict is Verdict.CANNOT_TELL:
        return Untold(because=planned.why_not)
    step = next(s for s in known.steps if s.id == step_id)
    starts = _starts(known)
    return _spread(known, [[_saved_by(step, edge, today) for today in starts] for edge in EDGES])


def times(share: Interval) -> Interval:
    """How many times as much, where this share is saved.

    Raises:
        InconclusiveError: it may be all.
    """
    _check_less_than_all(share)
    return Interval(low=1 / (1 - share.low), high=1 / (1 - share.high))


def odds(share: Interval) -> Interval:
    """What this share is to the rest.

    Raises:
        InconclusiveError: there may be no rest.
    """
    _check_less_than_all(share)
    return Interval(low=share.low / (1 - share.low), high=share.high / (1 - share.high))


def _check_less_than_all(share: Interval) -> None:
    """The error of a poor model may reach so far."""
    if share.high >= 1:
        raise InconclusiveError("the step-time model is too uncertain here to bound a ratio")


def _starts(known: Known) -> list[Scenario]:
    """Today under the fitted step time, which comes first, and under draws of it."""
    scenario = known.situation.scenario
    fitted = scenario.step_time
    return [replace(scenario, step_time=m) for m in (fitted, *fitted.drawn()[:DRAWS])]


def _spread(known: Known, found: Sequence[Sequence[float]]) -> Interval:
    """Around all of these rows, each of one value for each of the starts."""
    low = min(min(f[0], percentile(f[1:] or f, QUANTILES[0])) for f in found)
    high = max(max(f[0], percentile(f[1:] or f, QUANTILES[1])) for f in found)
    return widened(low, high, error_share(known.situation.scenario.step_time))


def _saved_by(step: Step, edge: Edge, today: Scenario) -> float:
    return 1 - _cost(step.change(today, edge)) / _cost(today)


def _cost(scenario: Scenario) -> float:
    usd = usd_per_1m(scenario)
    return device_s_per_1m(scenario) if usd is None else usd

"""What a set of steps will do to what can be measured afterwards, as intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.bill.dollars import device_s_per_1m
from costaudit.ground.stats import median, percentile
from costaudit.playbook.step import Edge, Turn
from costaudit.recording.verified import Bounds
from costaudit.whatif.doubts import error_share
from costaudit.whatif.predict import KINDS
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.playbook.step import Step
    from costaudit.whatif.scenario import Scenario

COST = "gpu_s_per_1m_tokens"
METRICS = (COST, "ttft_p50_s", "itl_p50_s")
QUANTILES = (0.05, 0.95)  # of the draws: nine in ten lie between


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the steps change, and what comes of it.

    Attributes:
        ratios: by METRICS; one that the simulation cannot tell is left out.
        before, after: the situation of today and the cautious one after the steps.
    """

    ratios: Mapping[str, Bounds]
    before: Scenario
    after: Scenario


def predict(
    steps: Sequence[Step],
    scenario: Scenario,
    *,
    draws: int,
    as_set: Callable[[Scenario], Scenario] = lambda changed: changed,
) -> Prediction:
    """Replay today's traffic before and after, at both ends of each change and under each draw.

    `as_set` puts in what was really set, where that is known. The interval runs over both ends and
    the 5 and 95 % quantiles of the draws, and outwards by the simulation's own error e: both
    sides come from one model, so that a change by the share s is off by e·|s|·(1 - s).

    Raises:
        InconclusiveError: a request does not fit into the memory, before or after.
    """
    in_turn = sorted(steps, key=lambda step: list(Turn).index(step.turn))

    def changed(start: Scenario, edge: Edge) -> Scenario:
        for step in in_turn:
            start = step.change(start, edge)
        return as_set(start)

    fitted = scenario.step_time
    starts = [replace(scenario, step_time=m) for m in (fitted, *fitted.drawn()[:draws])]
    before = [_figures(start) for start in starts]
    after = {edge: [_figures(changed(start, edge)) for start in starts] for edge in Edge}
    ratios = {}
    for metric in METRICS:
        by_edge = [_ratios(metric, before, after[edge]) for edge in Edge]
        if all(by_edge):
            ratios[metric] = _interval(by_edge, error_share(fitted, KINDS.get(metric, "e2e")))
    return Prediction(ratios=ratios, before=scenario, after=changed(scenario, Edge.LOW))


def _figures(scenario: Scenario) -> Mapping[str, float | None]:
    outcome = simulate(scenario)
    return {
        COST: device_s_per_1m(scenario, outcome),
        "ttft_p50_s": median(outcome.ttft_s) if outcome.ttft_s else None,
        "itl_p50_s": outcome.gaps.quantile_s(0.5),
    }


def _ratios(
    metric: str,
    before: Sequence[Mapping[str, float | None]],
    after: Sequence[Mapping[str, float | None]],
) -> list[float]:
    """The fitted ratio first, then those of the draws; empty where one cannot be told."""
    found = []
    for old, new in zip(before, after, strict=True):
        was, is_now = old[metric], new[metric]
        if not was or not is_now:
            return []
        found.append(is_now / was)
    return found


def _interval(by_edge: Sequence[Sequence[float]], error: float) -> Bounds:
    fitted = [ratios[0] for ratios in by_edge]
    drawn = [ratios[1:] or ratios for ratios in by_edge]
    low = min(*fitted, *(percentile(ratios, QUANTILES[0]) for ratios in drawn))
    high = max(*fitted, *(percentile(ratios, QUANTILES[1]) for ratios in drawn))
    return Bounds(
        low=max(low - error * abs(1 - low) * low, 0.0),
        mid=math.sqrt(fitted[0] * fitted[-1]),
        high=high + error * abs(1 - high) * high,
    )

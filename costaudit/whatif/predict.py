"""What a scenario will be measured as: rates and latencies with the interval they should fall in.

The interval holds what `doubts` tells of: each draw of the step time is simulated on a machine
that is a little faster or slower, so that a rate which arrivals decide keeps its narrow interval
and a queue near saturation gets its wide one; what a figure misses beside that is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.whatif.doubts import Z90, at_speeds, doubts_of
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario

SPEEDS = 24  # at which a model without draws is simulated
# Which of the loads' errors is a figure's.
KINDS = {"tokens_per_s": "e2e", "usd_per_1m": "e2e", "ttft_p50_s": "ttft", "itl_p50_s": "itl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """One figure and its 90 % interval."""

    value: float
    low: float
    high: float

    def holds(self, measured: float) -> bool:
        """Whether the interval has it."""
        return self.low <= measured <= self.high


def figures(outcome: Outcome, scenario: Scenario) -> dict[str, float]:
    """What is compared: tokens (prompt and output) per second over the whole window, and so on.

    "usd_per_1m" only where a device has a price, "itl_p50_s" where a request has a second token.
    """
    seconds = outcome.window_s + scenario.step_time.request_s
    rate = (outcome.prompt_tokens + outcome.output_tokens) / seconds
    found = {"tokens_per_s": rate, "ttft_p50_s": median(outcome.ttft_s)}
    gap_s = outcome.gaps.quantile_s(0.5)
    if gap_s is not None:
        found["itl_p50_s"] = gap_s
    hourly = scenario.prices.usd_per_device_h
    if hourly is not None:
        devices = scenario.devices * scenario.replicas
        found["usd_per_1m"] = hourly * devices / 3600 / rate * 1e6
    return found


def predict(scenario: Scenario) -> Mapping[str, Predicted]:
    """The `figures` of a scenario with their intervals.

    Raises:
        InconclusiveError, UsageError: as for `simulate`.
    """
    outcome = _simulated(scenario)
    told = figures(outcome, scenario)
    doubts = doubts_of(scenario.step_time, outcome)
    models = scenario.step_time.drawn() or (scenario.step_time,) * SPEEDS
    starts = [replace(scenario, step_time=m) for m in at_speeds(models, doubts.speed)]
    drawn = [figures(_simulated(start), start) for start in starts]
    found = {}
    for name, value in told.items():
        each = [one[name] for one in drawn if name in one]
        found[name] = _with_interval(value, each, doubts.own[KINDS[name]])
    if "itl_p50_s" in found:
        found["itl_p50_s"] = _with_modes(found["itl_p50_s"], outcome)
    return found


def _simulated(scenario: Scenario) -> Outcome:
    """A closed loop's clients wait for what a request takes outside of the steps."""
    traffic = replace(scenario.traffic, think_s=scenario.step_time.request_s)
    return simulate(replace(scenario, traffic=traffic))


def _with_modes(gap: Predicted, outcome: Outcome) -> Predicted:
    """Steps with prompts in them are far longer than those without: gaps have two modes.

    Where about half of the gaps are of each, chance decides where the median falls. All rows of a
    step share its length, so the share of a mode is as uncertain as of so many steps.
    """
    share = Z90 * 0.5 / math.sqrt(max(outcome.steps, 1))
    low, high = (outcome.gaps.quantile_s(min(max(0.5 + d, 0), 1)) for d in (-share, share))
    return Predicted(
        value=gap.value,
        low=gap.low * (low or gap.value) / gap.value,
        high=gap.high * (high or gap.value) / gap.value,
    )


def _with_interval(value: float, drawn: Sequence[float], own: float) -> Predicted:
    """Nine in ten by the spread of the draws, to each side its own, and the figure's own error."""
    logs = [math.log(one / value) for one in drawn if one > 0]
    width = [math.exp(Z90 * math.hypot(_side(logs, sign), own)) for sign in (-1, 1)]
    return Predicted(value=value, low=value / width[0], high=value * width[1])


def _side(logs: Sequence[float], sign: int) -> float:
    """Standard deviation as the draws on this side show it; the others count as if mirrored."""
    beyond = [log for log in logs if log * sign > 0]
    return math.sqrt(2 * sum(log * log for log in beyond) / max(len(logs), 1))

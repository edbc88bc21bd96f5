"""What a scenario will be measured as: rates and latencies with the interval they should fall in.

Three things keep a measurement from the simulated value, and the interval holds them all: the
terms of the step time are known from few probes (its draws, simulated one by one), the simulation
leaves something out (by as much as it missed the loads that it was fitted to), and no run repeats
exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario
    from costaudit.whatif.steptime import StepTime

Z90 = 1.645  # two-sided 90 % quantile of the normal distribution
# A load's error as `StepTime.load_error_share` names it, and what repeats on a machine that does
# nothing else: between runs of the same traffic on the same server, see bench/predict_vllm.py.
ERRORS = {
    "tokens_per_s": ("e2e", 0.03),
    "usd_per_1m": ("e2e", 0.03),
    "ttft_p50_s": ("ttft", 0.06),
    "itl_p50_s": ("itl", 0.04),
}


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
    models = scenario.step_time.drawn()
    drawn = [figures(_simulated(one), one) for one in _each(scenario, models)]
    found = {
        name: _with_interval(name, value, [one[name] for one in drawn if name in one], scenario)
        for name, value in told.items()
    }
    if "itl_p50_s" in found:
        found["itl_p50_s"] = _with_modes(found["itl_p50_s"], outcome)
    return found


def _each(scenario: Scenario, models: Sequence[StepTime]) -> Iterator[Scenario]:
    return (replace(scenario, step_time=model) for model in models)


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


def _with_interval(
    name: str, value: float, drawn: Sequence[float], scenario: Scenario
) -> Predicted:
    error, repeats = ERRORS[name]
    spread = [math.log(one / value) for one in drawn if one > 0]
    terms = math.sqrt(sum(s * s for s in spread) / len(spread)) if spread else 0.0
    errors = scenario.step_time.load_error_share
    repeats = max(repeats, errors.get("repeats", 0.0))
    width = math.exp(Z90 * math.hypot(terms, errors.get(error, 0.0), repeats))
    return Predicted(value=value, low=value / width, high=value * width)

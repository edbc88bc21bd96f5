"""What keeps a measurement from the simulated value, as standard deviations of logarithms.

Each source is known before the change: the terms are known from few probes (`StepTime.draws`);
simulated loads of this recording miss those that they were not fitted to; rounds of one load
differ, brief ones more, and the replay's rate swings; the machine is faster or slower an hour
later, on a server that was started anew; and where the engine would work beyond all that was seen,
more is unknown the further it goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

from costaudit.whatif.load_errors import USUAL
from costaudit.whatif.seen_load import doubt, operating_point

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.steptime import StepTime

Z90 = 1.645  # two-sided 90 % quantile of the normal distribution
REPEATS = 0.05  # runs of ten seconds one after the other, on a calm machine of two cores
LATER = 0.06  # the same load on the same machine, hours apart: bench/predict_vllm.py
BEYOND = 0.06  # for each factor e beyond the operating points that were seen
# What a figure misses beside the speed of all steps, at least.
LEAST: Mapping[str, float] = {"e2e": 0.01, "ttft": 0.04, "itl": 0.03}
SHUFFLE = 7  # of the speeds, so that they do not rise with the draws; prime to their number


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """`speed`: of all that takes time, together; `own`: of a figure beside it, by its kind."""

    speed: float
    own: Mapping[str, float]


def doubts_of(model: StepTime, outcome: Outcome) -> Doubts:
    """Of a measurement of this outcome."""
    errors = {**USUAL, **model.load_error_share}
    repeats = max(REPEATS, errors.get("repeats", 0.0)) * doubt(outcome.window_s)
    unsteady = errors.get("unsteady", 0.0)  # the audited load itself, while it was watched
    beyond = BEYOND * _beyond(model, outcome)
    speed = math.hypot(errors["e2e"], repeats, unsteady, LATER, beyond)
    own = {
        kind: max(least, math.sqrt(max(errors[kind] ** 2 - errors["e2e"] ** 2, 0.0)))
        for kind, least in LEAST.items()
    }
    return Doubts(speed=speed, own=own)


def error_share(model: StepTime, kind: str = "e2e") -> float:
    """By how much what is simulated of a scenario may be off, in nine of ten cases.

    As the probes that were held out say, and the loads that the terms were not fitted to. What
    repeats and how fast the machine is are the same on both sides of a change, and not in it.
    """
    probes = model.error_p90_share or model.error_p50_share or 0.0
    return max(probes, Z90 * model.load_error_share.get(kind, 0.0))


def at_speeds(models: Sequence[StepTime], speed: float) -> tuple[StepTime, ...]:
    """Each model on a machine that is a little slower or faster in everything.

    The factors are evenly spread quantiles of the log-normal distribution with this deviation.
    """
    count = len(models)
    factors = [math.exp(speed * NormalDist().inv_cdf((n + 0.5) / count)) for n in range(count)]
    turned = [factors[(SHUFFLE * place) % count] for place in range(count)]
    return tuple(_slower(model, f) for model, f in zip(models, turned, strict=True))


def _slower(model: StepTime, factor: float) -> StepTime:
    slowed = {name: value * factor for name, value in model.coefficients.items()}
    return replace(model, coefficients=slowed)


def _beyond(model: StepTime, outcome: Outcome) -> float:
    """How far outside of the loads that were seen the engine works, in factors of e."""
    point, far = operating_point(outcome), 0.0
    for name, (low, high) in model.load_span.items():
        value = max(point[name], 1e-9)
        far += max(math.log(low / value), math.log(value / high), 0.0)
    return far

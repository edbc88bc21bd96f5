"""Fits a server's step time once more, to all that its loads came to.

Probes of single steps leave out what goes on beside the steps: the front end takes requests one
after the other, a prompt that enters costs the scheduler time, streaming and the engine share
processors. A simulation of the very loads that were sent knows all of these places; so the terms
of the step time, and those of a request, are solved for once more until the simulated loads last
as long as the measured ones, with the single steps beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.whatif.form import FRONT, REQUEST
from costaudit.whatif.scenario import Prices, Scenario
from costaudit.whatif.simulate import simulate
from costaudit.whatif.solve import DRAWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from costaudit.traffic.traffic import Traffic
    from costaudit.whatif.fit import StepPoint
    from costaudit.whatif.scenario import Knobs
    from costaudit.whatif.steptime import StepTime

    Floats = NDArray[np.float64]

# Of linearising and solving, and of solving once more with the last slopes: the loads are nearly
# linear in the terms.
ROUNDS, MORE = 3, 1
NUDGE = 0.02  # of a term's width, to see what it does to each load
# No load of a shared machine repeats better; a brief load repeats worse.
E2E_SHARE, FIRST_SHARE, GAP_SHARE, STEP_SHARE = 0.03, 0.08, 0.06, 0.04
STEP = "step"  # the stage of the single steps, and of bursts
BRIEF_S = 4.0  # a load watched for so long is as often off by chance as by the usual share
PULL = 0.1  # of a width away from the first fit counts like one residual of the usual size
DRIFT_SHARE = 0.07  # by which a machine is faster or slower while one stage of an audit lasts
OUTLIER = 2.0  # usual sizes; beyond them a residual counts in proportion, not in square


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLoad:
    """A closed loop that was really run; the means are over requests `first` up to `end`."""

    name: str
    traffic: Traffic
    first: int
    end: int
    e2e_mean_s: float
    ttft_mean_s: float
    itl_p50_s: float | None
    stage: str = ""  # loads of one stage ran one after the other: the machine's drift is theirs
    wall_s: float = math.inf  # for which it was watched: disturbances spoil a short one more

    @property
    def doubt(self) -> float:
        """What its usual share of error is to be multiplied by."""
        return math.sqrt(1 + BRIEF_S / self.wall_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a simulation says of the same."""

    e2e_mean_s: float
    ttft_mean_s: float
    itl_p50_s: float | None


def calibrate(
    fitted: StepTime,
    points: Sequence[StepPoint],
    loads: Sequence[SeenLoad],
    knobs: Knobs,
    *,
    repeat_share: float | None = None,
) -> StepTime:
    """The step time whose simulated loads last as long as the measured ones did.

    `fitted` is where to start, and what rules where the loads leave a term open. Without loads
    that these knobs could serve it is the answer. `repeat_share` is by how much rounds of the
    same load differed.
    """
    import numpy as np

    loads = [load for load in loads if _runs(fitted, load, knobs)]
    if not loads:
        return fitted
    system = _System(fitted, [p for p in points if not p.held_out], loads, knobs)
    x = system.start
    for _ in range(ROUNDS):
        residual, slope = system.linearised(x)
        x = system.solved(slope, residual, x)
    for _ in range(MORE):
        x = system.solved(slope, system.residuals(x), x)
    residual = system.residuals(x)
    spread = max(1.0, float(np.sqrt(np.mean(np.minimum(residual**2, OUTLIER**2)))))
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        shaken = residual + spread * generator.standard_normal(len(residual))
        near = system.start + spread * generator.standard_normal(len(x))
        draws.append(system.named(system.solved(slope, shaken, x, near)))
    misfit = dict(system.misfit(residual))
    if repeat_share is not None:
        misfit["repeats"] = repeat_share
    return replace(
        fitted, coefficients=system.named(x), draws=tuple(draws), load_error_share=misfit
    )


class _System:
    """The residuals as a function of the terms, each in units of its width."""

    def __init__(
        self,
        fitted: StepTime,
        points: Sequence[StepPoint],
        loads: Sequence[SeenLoad],
        knobs: Knobs,
    ) -> None:
        import numpy as np

        self.fitted, self.points, self.loads, self.knobs = fitted, points, loads, knobs
        typical_s = sorted(point.seconds for point in points)[len(points) // 2]
        new = {"together": 0.0, "prompts": 0.0, FRONT: 0.0, REQUEST: 0.0}
        self.terms = {**new, **fitted.coefficients}
        self.width = self._widths(typical_s)
        self.start = np.array([self.terms[n] / self.width[n] for n in self.terms])
        self.drift = self._drift()

    def _widths(self, typical_s: float) -> dict[str, float]:
        rows = [self.fitted.columns(point.load) for point in self.points]
        found = {}
        for name, value in self.terms.items():
            column = sorted(row[name] for row in rows if row.get(name))
            usual = column[len(column) // 2] if column else 1.0
            found[name] = max(value, typical_s / usual)
        return found

    def _drift(self) -> Floats:
        """What a stage's drift, in units of its usual size, does to each residual: up and down.

        Many short loads one after the other say no more of a machine's usual speed than one.
        """
        import numpy as np

        kinds = (E2E_SHARE, FIRST_SHARE, GAP_SHARE)
        rows = [(STEP, STEP_SHARE) for _ in self.points]
        rows += [(load.stage, share * load.doubt) for load in self.loads for share in kinds]
        stages = sorted({stage for stage, _ in rows})
        one = [[DRIFT_SHARE / share * (stage == s) for s in stages] for stage, share in rows]
        return np.hstack([np.array(one), -np.array(one)])

    def solved(
        self, slope: Floats, residual: Floats, x: Floats, near: Floats | None = None
    ) -> Floats:
        """The next terms, none negative; residuals far out count less (Huber's weights)."""
        import numpy as np
        from scipy.optimize import nnls

        near = self.start if near is None else near
        terms, stages = len(x), self.drift.shape[1]
        weight = np.sqrt(np.minimum(1.0, OUTLIER / np.maximum(np.abs(residual), 1e-12)))
        rows = np.vstack(
            [
                weight[:, None] * np.hstack([slope, self.drift]),
                np.hstack([PULL * np.eye(terms), np.zeros((terms, stages))]),
                np.hstack([np.zeros((stages, terms)), np.eye(stages)]),
            ]
        )
        aim = [weight * (slope @ x - residual), PULL * near, np.zeros(stages)]
        return np.asarray(nnls(rows, np.concatenate(aim))[0][:terms])

    def named(self, x: Floats) -> dict[str, float]:
        return {name: float(v * self.width[name]) for name, v in zip(self.terms, x, strict=True)}

    def residuals(self, x: Floats) -> Floats:
        """Logarithms of told over seen, each over its usual size."""
        import numpy as np

        model = replace(self.fitted, coefficients=self.named(x), draws=())
        found: list[float] = []
        for point in self.points:
            seconds = model.seconds(point.load) + point.requests * (model.request_s + model.front_s)
            found.append(math.log(max(seconds, 1e-9) / point.seconds) / STEP_SHARE)
        for load in self.loads:
            told = told_of(model, load, self.knobs)
            found.append(_log(told.e2e_mean_s, load.e2e_mean_s) / (E2E_SHARE * load.doubt))
            found.append(_log(told.ttft_mean_s, load.ttft_mean_s) / (FIRST_SHARE * load.doubt))
            found.append(_log(told.itl_p50_s, load.itl_p50_s) / (GAP_SHARE * load.doubt))
        return np.array(found)

    def linearised(self, x: Floats) -> tuple[Floats, Floats]:
        import numpy as np

        at = self.residuals(x)
        slope = np.empty((len(at), len(x)))
        for place in range(len(x)):
            nudged = x.copy()
            nudged[place] += NUDGE
            slope[:, place] = (self.residuals(nudged) - at) / NUDGE
        return at, slope

    def misfit(self, residual: Floats) -> Mapping[str, float]:
        """Root mean square of the loads' errors: {"e2e", "ttft", "itl"}."""
        own = residual[len(self.points) :].reshape(-1, 3)
        shares = {"e2e": E2E_SHARE, "ttft": FIRST_SHARE, "itl": GAP_SHARE}
        found = {}
        for place, (name, share) in enumerate(shares.items()):
            values = [abs(v) * share for v in own[:, place] if v]
            found[name] = math.sqrt(sum(v * v for v in values) / len(values)) if values else 0.0
        return found


def _runs(model: StepTime, load: SeenLoad, knobs: Knobs) -> bool:
    """Whether the simulated engine could serve it; the real one did, so its knobs were not told."""
    try:
        told_of(model, load, knobs)
    except InconclusiveError:
        return False
    return True


def told_of(model: StepTime, load: SeenLoad, knobs: Knobs) -> Told:
    """The load simulated."""
    traffic = replace(load.traffic, think_s=model.request_s)
    scenario = Scenario(
        shape=model.shape,
        step_time=model,
        knobs=knobs,
        traffic=traffic,
        prices=Prices(usd_per_device_h=None),
    )
    outcome = simulate(scenario)
    e2e, first = outcome.e2e_s[load.first : load.end], outcome.ttft_s[load.first : load.end]
    return Told(
        e2e_mean_s=sum(e2e) / len(e2e),
        ttft_mean_s=sum(first) / len(first),
        itl_p50_s=outcome.gaps.quantile_s(0.5),
    )


def _log(told: float | None, seen: float | None) -> float:
    if not told or not seen:
        return 0.0
    return math.log(told / seen)

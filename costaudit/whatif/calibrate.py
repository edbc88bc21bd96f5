"""Fits a server's step time once more, to all that its loads came to.

Probes of single steps leave out what goes on beside the steps: the front end takes requests one
after the other, a prompt that enters costs the scheduler time, streaming and the engine share
processors. A simulation of the very loads that were sent knows all of these places; so the terms
of the step time, and those of a request, are solved for once more until the simulated loads last
as long as the measured ones, with the single steps beside them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.whatif.client_gaps import gap_spread
from costaudit.whatif.form import FRONT, REQUEST
from costaudit.whatif.load_errors import pooled_errors
from costaudit.whatif.seen_load import USUAL_SHARE, log_errors, runs, span_of, told_of
from costaudit.whatif.solve import DRAWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from costaudit.whatif.fit import StepPoint
    from costaudit.whatif.scenario import Knobs
    from costaudit.whatif.seen_load import SeenLoad
    from costaudit.whatif.steptime import StepTime

    Floats = NDArray[np.float64]

# Of linearising and solving, and of solving once more with the last slopes: the loads are nearly
# linear in the terms.
ROUNDS, MORE = 3, 1
NUDGE = 0.02  # of a term's width, to see what it does to each load
# A load's usual errors: a brief or disturbed one is further off. A single step was timed briefly:
# on a shared host within one of its moods, see `seen_load.BRIEF_S`.
KINDS: Mapping[str, float] = {"e2e": USUAL_SHARE, "ttft": 0.08, "itl": 0.06}
STEP_SHARE = 0.1
STEP = "step"  # the stage of the single steps, and of bursts
PULL = 0.1  # of a width away from the first fit counts like one residual of the usual size
# What enters with a prompt beside its tokens, of a step's overhead: as wide as its centre. Loads
# with few prompts in them leave it open, and what-ifs may bring more of them.
ENTRY, ENTRY_SHARE = "prompts", 0.5
DRIFT_SHARE = 0.07  # by which a machine is faster or slower while one stage of an audit lasts
OUTLIER = 2.0  # usual sizes; beyond them a residual counts in proportion, not in square …
FIRM_S = 8.0  # … but of a load that was watched for so long: that was no passing disturbance


def calibrate(
    fitted: StepTime,
    points: Sequence[StepPoint],
    loads: Sequence[SeenLoad],
    knobs: Knobs,
    *,
    held_out: Sequence[SeenLoad] = (),
    repeats: Mapping[str, float] | None = None,
) -> StepTime:
    """The step time whose simulated loads last as long as the measured ones did.

    `fitted` is where to start, and what rules where the loads leave a term open. Without loads
    that these knobs could serve it is the answer. Loads `held_out` judge it. `repeats` goes
    into its `load_error_share`: "repeats" and "unsteady", see `doubts`.
    """
    loads = [load for load in loads if runs(fitted, load, knobs)]
    if not loads:
        return fitted
    system = _System(fitted, [p for p in points if not p.held_out], loads, knobs)
    x = system.start
    for _ in range(ROUNDS):
        system.see_gaps(x)
        residual, slope = system.linearised(x)
        x = system.solved(slope, residual, x)
    for _ in range(MORE):
        x = system.solved(slope, system.residuals(x), x)
    residual = system.residuals(x)
    calibrated = replace(system.model(x), draws=system.drawn(slope, residual, x))
    judges = [load for load in held_out if runs(calibrated, load, knobs)]
    unseen = [system.left_out(place, slope, residual, x) for place in range(len(loads))]
    unseen += [system.misses(calibrated, load) for load in judges]
    errors = pooled_errors(
        [[miss * size for miss, size in zip(one, KINDS.values(), strict=True)] for one in unseen],
        [1 / load.doubt**2 for load in (*loads, *judges)],
    )
    span = span_of([told_of(calibrated, load, knobs) for load in loads])
    return replace(calibrated, load_error_share=errors | dict(repeats or {}), load_span=span)


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
        entry_s = ENTRY_SHARE * fitted.coefficients.get("overhead", 0.0)
        new = {"together": 0.0, ENTRY: entry_s, FRONT: 0.0, REQUEST: 0.0}
        self.terms = {**new, **fitted.coefficients, ENTRY: entry_s}
        self.width = self._widths(typical_s)
        self.start = np.array([self.terms[n] / self.width[n] for n in self.terms])
        believed = {ENTRY: self.width[ENTRY] / entry_s} if entry_s else {}
        self.pull = np.diag([believed.get(name, PULL) for name in self.terms])
        self.drift = self._drift()
        self.gap_spread = 0.0
        long = [float(load.wall_s >= FIRM_S) for load in self.loads for _ in KINDS]
        self.firm = np.array([0.0] * len(self.points) + long)

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

        rows = [(STEP, STEP_SHARE * point.doubt) for point in self.points]
        rows += [(load.stage, s * load.doubt) for load in self.loads for s in KINDS.values()]
        stages = sorted({stage for stage, _ in rows})
        one = [[DRIFT_SHARE / share * (stage == s) for s in stages] for stage, share in rows]
        return np.hstack([np.array(one), -np.array(one)])

    def drawn(self, slope: Floats, residual: Floats, x: Floats) -> tuple[Mapping[str, float], ...]:
        """What else would fit: the residuals, and where the terms start, shaken by their size."""
        import numpy as np

        spread = max(1.0, float(np.sqrt(np.mean(np.minimum(residual**2, OUTLIER**2)))))
        generator = np.random.default_rng(0)
        draws = []
        for _ in range(DRAWS):
            shaken = residual + spread * generator.standard_normal(len(residual))
            near = self.start + spread * generator.standard_normal(len(x))
            near = np.maximum(near, self.start / 2)  # what the first fit saw is never nothing
            draws.append(self.named(self.solved(slope, shaken, x, near=near)))
        return tuple(draws)

    def left_out(self, place: int, slope: Floats, residual: Floats, x: Floats) -> list[float]:
        """The misses of the load at this place by terms that were solved for without it."""
        import numpy as np

        first = len(self.points) + place * len(KINDS)
        own = slice(first, first + len(KINDS))
        kept = np.ones(len(residual))
        kept[own] = 0.0
        without = self.solved(slope, residual, x, kept=kept)
        told = residual[own] + slope[own] @ (without - x)
        return [float(t) for t in told * (residual[own] != 0.0)]  # 0: the load does not have it

    def solved(
        self,
        slope: Floats,
        residual: Floats,
        x: Floats,
        *,
        near: Floats | None = None,
        kept: Floats | float = 1.0,
    ) -> Floats:
        """The next terms, none negative; residuals far out count less (Huber's weights)."""
        import numpy as np
        from scipy.optimize import nnls

        near = self.start if near is None else near
        terms, stages = len(x), self.drift.shape[1]
        usual = np.minimum(1.0, OUTLIER / np.maximum(np.abs(residual), 1e-12))
        weight = kept * np.sqrt(np.maximum(usual, self.firm))
        rows = np.vstack(
            [
                weight[:, None] * np.hstack([slope, self.drift]),
                np.hstack([self.pull, np.zeros((terms, stages))]),
                np.hstack([np.zeros((stages, terms)), np.eye(stages)]),
            ]
        )
        aim = [weight * (slope @ x - residual), self.pull @ near, np.zeros(stages)]
        return np.asarray(nnls(rows, np.concatenate(aim))[0][:terms])

    def named(self, x: Floats) -> dict[str, float]:
        """The terms in their own units."""
        return {name: float(v * self.width[name]) for name, v in zip(self.terms, x, strict=True)}

    def model(self, x: Floats) -> StepTime:
        """The step time of these terms."""
        named = self.named(x)
        return replace(self.fitted, coefficients=named, draws=(), gap_spread=self.gap_spread)

    def see_gaps(self, x: Floats) -> None:
        """By how far gaps are seen to spread around those of these terms, from here on."""
        model = self.model(x)
        pairs = [(told_of(model, load, self.knobs).gaps, load) for load in self.loads]
        weighted = [(gaps, load.gaps_s, 1 / load.doubt**2) for gaps, load in pairs]
        self.gap_spread = gap_spread(weighted)

    def misses(self, model: StepTime, load: SeenLoad) -> list[float]:
        """Logarithms of told over seen of one load, over their usual sizes: as KINDS."""
        logs = log_errors(told_of(model, load, self.knobs), load)
        return [log / (KINDS[kind] * load.doubt) for kind, log in zip(KINDS, logs, strict=True)]

    def residuals(self, x: Floats) -> Floats:
        """Logarithms of told over seen, each over its usual size."""
        import numpy as np

        model = self.model(x)
        found: list[float] = []
        for point in self.points:
            seconds = model.seconds(point.load) + point.requests * (model.request_s + model.front_s)
            usual = STEP_SHARE * point.doubt
            found.append(math.log(max(seconds, 1e-9) / point.seconds) / usual)
        for load in self.loads:
            found += self.misses(model, load)
        return np.array(found)

    def linearised(self, x: Floats) -> tuple[Floats, Floats]:
        """The residuals here, and what each term does to them."""
        import numpy as np

        at = self.residuals(x)
        slope = np.empty((len(at), len(x)))
        for place in range(len(x)):
            nudged = x.copy()
            nudged[place] += NUDGE
            slope[:, place] = (self.residuals(nudged) - at) / NUDGE
        return at, slope

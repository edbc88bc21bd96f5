"""Fits the step-time model to measured steps, and judges it on steps it has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import percentile
from costaudit.whatif.form import COLUMN_TERM, REQUEST
from costaudit.whatif.free_fit import NOTE, RIDGE, free_beliefs
from costaudit.whatif.solve import Belief, solve
from costaudit.whatif.steptime import StepTime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.target.load import StepLoad
    from costaudit.target.shape import ModelShape
    from costaudit.whatif.form import Peaks

PRIOR_STRENGTH = 0.02
# Centres: usual efficiencies of GPU kernels against datasheet peaks (90 % of bandwidth for
# weights, 88 % for the cache, 60 to 65 % of FLOPs), a 2 ms step without work, 25 µs per sequence.
# Widths as wide as the centres: the prior decides only what the probes leave open.
PRIOR: Mapping[str, Belief] = {
    "overhead": Belief(centre=2e-3, width=2e-3),
    "sequences": Belief(centre=25e-6, width=25e-6),
    "weights": Belief(centre=1.11, width=1.0),
    "weights_gemm": Belief(centre=0.0, width=1.0),
    "kv": Belief(centre=1.14, width=1.0),
    "decode_compute": Belief(centre=1.67, width=1.0),
    "prefill_compute": Belief(centre=1.54, width=1.0),
    "prefill_attention": Belief(centre=0.0, width=1.0),
    "link": Belief(centre=2.0, width=2.0),
    "link_latency": Belief(centre=10e-6, width=10e-6),
    REQUEST: Belief(centre=5e-3, width=5e-3),
}
MIN_POINTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPoint:
    """One measured step (seconds per step of this load).

    `requests` of them had to be received, queued and answered within those seconds, outside the
    step: 1 where a server's TTFT stands for a prefill step. `doubt` multiplies the usual error of
    a timed step in a fit to loads.
    """

    load: StepLoad
    seconds: float
    spread_share: float = 0.0
    held_out: bool = False
    requests: int = 0
    doubt: float = 1.0


def fit(
    points: Sequence[StepPoint],
    *,
    shape: ModelShape,
    peaks: Peaks,
    param_bytes: float,
    kv_element_bytes: float,
    free: bool = False,
) -> StepTime:
    """Fit to the points that are not held out; judge on those that are.

    A column that is zero in every probe keeps the prior's centre; a note says so. With `free`,
    shape or peaks are stand-ins, there is no prior, and the model claims no roofline.

    Raises:
        InconclusiveError: fewer than two usable points.
    """
    usable = [point for point in points if math.isfinite(point.seconds) and point.seconds > 0]
    probes = [point for point in usable if not point.held_out]
    if len(probes) < MIN_POINTS:
        raise InconclusiveError(
            f"a step-time model needs {MIN_POINTS} measured steps, there are {len(probes)}",
            hint="run the probes to their end, or add probes of other lengths",
        )
    blank = StepTime(
        shape=shape,
        peaks=peaks,
        param_bytes=param_bytes,
        kv_element_bytes=kv_element_bytes,
        coefficients={},
        free=free,
    )
    fitted = _solved(blank, probes)
    fitted = replace(
        fitted,
        fitted_points=len(probes),
        notes=(NOTE,) if free else _open_questions(blank, probes),
    )
    return judged(fitted, [point for point in usable if point.held_out])


def judged(fitted: StepTime, points: Sequence[StepPoint]) -> StepTime:
    """With the errors on points that it has not seen."""
    told = [
        fitted.seconds(p.load) + p.requests * (fitted.request_s + fitted.front_s) for p in points
    ]
    errors = [abs(s / p.seconds - 1) for s, p in zip(told, points, strict=True)]
    return replace(
        fitted,
        error_p50_share=percentile(errors, 0.5) if errors else None,
        error_p90_share=percentile(errors, 0.9) if errors else None,
        held_out_points=len(errors),
    )


def _solved(blank: StepTime, probes: Sequence[StepPoint]) -> StepTime:
    rows = [{**blank.columns(point.load), REQUEST: point.requests} for point in probes]
    seconds = [point.seconds for point in probes]
    if blank.free:
        beliefs = free_beliefs(rows, seconds, experts=blank.shape.experts is not None)
    else:
        links = blank.peaks.devices * blank.peaks.stages > 1  # else nothing crosses a link
        served = any(point.requests for point in probes)
        beliefs = {
            name: belief
            for name, belief in PRIOR.items()
            if (served if name == REQUEST else links or COLUMN_TERM[name] != "link")
        }
    solution = solve(rows, seconds, beliefs, strength=RIDGE if blank.free else PRIOR_STRENGTH)
    return replace(blank, coefficients=solution.coefficients, draws=solution.draws)


def _open_questions(blank: StepTime, probes: Sequence[StepPoint]) -> tuple[str, ...]:
    """What no probe exercised, so that the prior alone speaks for it."""
    values = [blank.columns(point.load) for point in probes]
    return tuple(
        f"no probe exercised {name}: its coefficient is a usual one, not a measured one"
        for name in ("kv", "decode_compute", "prefill_compute")
        if not any(value[name] for value in values)
    )

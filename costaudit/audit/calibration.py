"""A server's step time as its probes and its loads together tell it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.audit.scenario import fit_step_time, scenario_of, step_points
from costaudit.measure.loads import repeat_share, served_loads
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.calibrate import SeenLoad, calibrate
from costaudit.whatif.fit import judged
from costaudit.whatif.scenario import Prices

if TYPE_CHECKING:
    from costaudit.measure.derive import Derived
    from costaudit.measure.loads import ServedLoad
    from costaudit.recording.recording import Recording
    from costaudit.whatif.fit import StepPoint
    from costaudit.whatif.steptime import StepTime


def served_step_time(recording: Recording, derived: Derived) -> StepTime:
    """Fitted to the steps, then to every load that is not held out.

    Raises:
        InconclusiveError: too few steps.
    """
    metrics, precision = derived.metrics, derived.precision
    fitted = fit_step_time(
        metrics,
        derived.steps,
        param_bytes=precision.param_bytes,
        kv_element_bytes=precision.kv_element_bytes,
    )
    knobs = scenario_of(metrics, derived.requests, fitted, Prices(usd_per_device_h=None)).knobs
    loads = served_loads(recording)
    seen = [_seen(load) for load in loads if not load.held_out]
    points = [_typical(point) for point in step_points(derived.steps)]
    calibrated = calibrate(fitted, points, seen, knobs, repeat_share=repeat_share(loads))
    return judged(calibrated, [p for p in points if p.held_out])


def _typical(point: StepPoint) -> StepPoint:
    """The median round instead of the fastest: loads are made of steps as they usually are."""
    return replace(point, seconds=point.seconds * (1 + point.spread_share))


def _seen(load: ServedLoad) -> SeenLoad:
    requests = tuple(
        Request(
            prompt_tokens=row.prompt_tokens,
            output_tokens=row.output_tokens,
            prefix_id=row.prefix_id,
            prefix_tokens=row.prefix_tokens,
        )
        for row in load.requests
    )
    return SeenLoad(
        name=load.name,
        traffic=Traffic(source=load.name, requests=requests, concurrency=load.concurrency),
        first=load.first,
        end=load.end,
        e2e_mean_s=load.e2e_mean_s,
        ttft_mean_s=load.ttft_mean_s,
        itl_p50_s=load.itl_p50_s,
        wall_s=load.wall_s,
    )

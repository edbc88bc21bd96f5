"""A server's step time as its probes and its loads together tell it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.audit.scenario import fit_step_time, scenario_of, step_points
from costaudit.ground.stats import mean
from costaudit.measure.loads import served_loads
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.calibrate import STEP, calibrate
from costaudit.whatif.fit import judged
from costaudit.whatif.scenario import Prices
from costaudit.whatif.seen_load import BRIEF_S, SeenLoad, disturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.measure.derive import Derived
    from costaudit.measure.loads import ServedLoad
    from costaudit.measure.metrics import Metrics
    from costaudit.recording.recording import Recording
    from costaudit.whatif.fit import StepPoint
    from costaudit.whatif.scenario import Knobs
    from costaudit.whatif.steptime import StepTime

Z95 = 1.96  # two-sided 95 % quantile of the normal distribution
RUNGS = "rungs"  # the replay and the ladder behind it


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
    loads = served_loads(recording)
    scenario = scenario_of(metrics, derived.requests, fitted, Prices(usd_per_device_h=None))
    knobs = _roomy(scenario.knobs, metrics, loads)
    doubts = {load.name: math.hypot(1.0, disturbed(load.taken_share)) for load in loads}
    points = [
        replace(_typical(point), doubt=doubts.get(step.task, 1.0))
        for point, step in zip(step_points(derived.steps), derived.steps, strict=True)
    ]
    calibrated = calibrate(
        fitted,
        points,
        [_seen(load) for load in loads if not load.held_out],
        knobs,
        held_out=[_seen(load) for load in loads if load.held_out],
        repeats=_repeats(recording, loads),
    )
    return judged(calibrated, [p for p in points if p.held_out])


def _roomy(knobs: Knobs, metrics: Metrics, loads: Sequence[ServedLoad]) -> Knobs:
    """Where a server does not tell its limits, those of the replay; no load was held back by them.

    The largest load shows what it takes at least.
    """
    if metrics.target.knobs.get("max_num_seqs") is None:
        most = max((load.concurrency for load in loads), default=1)
        knobs = replace(knobs, max_num_seqs=max(knobs.max_num_seqs, most))
    if metrics.kv.capacity_tokens is None:
        held = max((_held_tokens(load) for load in loads), default=1)
        block = knobs.kv_block_tokens
        knobs = replace(knobs, kv_budget_tokens=max(knobs.kv_budget_tokens, held + block))
    return knobs


def _held_tokens(load: ServedLoad) -> int:
    longest = max(row.prompt_tokens + row.output_tokens for row in load.requests)
    return load.concurrency * longest


def _typical(point: StepPoint) -> StepPoint:
    """The median round instead of the fastest: loads are made of steps as they usually are."""
    return replace(point, seconds=point.seconds * (1 + point.spread_share))


def _repeats(recording: Recording, loads: Sequence[ServedLoad]) -> dict[str, float]:
    """Standard deviations: of rounds of the same burst, and of the replay's rate as it was known.

    The latter by the 95 % half-width over slices of the replay.
    """
    found, steady = {}, recording.facts().get("replay", {}).get("steady")
    if (rounds := repeat_share(loads)) is not None:
        found["repeats"] = rounds
    if steady is not None and isinstance(steady.value, dict):
        found["unsteady"] = float(steady.value["half_share"]) / Z95
    return found


def repeat_share(loads: Sequence[ServedLoad]) -> float | None:
    """By how much rounds of the same burst differ, as a standard deviation of logarithms.

    Of a load that is not brief: a brief one differs more by chance. None where no burst was sent
    twice.
    """
    found = []
    for load in loads:
        logs, brief = [math.log(seconds) for seconds in load.rounds_s], 1.0
        if len(logs) > 1:
            brief += BRIEF_S * len(logs) / load.wall_s
            middle = mean(logs)
            found.append(sum((log - middle) ** 2 for log in logs) / (len(logs) - 1) / brief)
    return math.sqrt(mean(found)) if found else None


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
        e2e_s=load.e2e_s,
        ttft_p50_s=load.ttft_p50_s,
        itl_p50_s=load.itl_p50_s,
        gaps_s=load.gaps_s,
        stage=load.purpose if load.purpose == STEP else RUNGS,
        wall_s=load.wall_s,
        taken_share=load.taken_share,
    )

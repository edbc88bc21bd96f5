"""What an audit of a server says differently: phases by the fit, and where its slices come from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.audit.scenario import SERVER
from costaudit.bill.slices import SliceId
from costaudit.measure.phases import decode_work, phase_metrics, prefill_work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.measure.derive import Derived
    from costaudit.measure.metrics import Metrics, PhaseMetrics
    from costaudit.measure.phases import Work
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.steptime import StepTime

DATASHEET = "at the datasheet's peaks"
TOGETHER = "fitted seconds per step and per sequence: overhead and reading the weights, one sum"
KERNELS = "fitted seconds per prompt token, pair of tokens and cached token, ideal or not"


def served_sources(metrics: Metrics, step_time: StepTime) -> Mapping[SliceId, str] | None:
    """Sources of the slices where they are not those of a model in this process."""
    if metrics.target.kind != SERVER:
        return None
    if step_time.free:
        return {SliceId.STEP_OVERHEAD: TOGETHER, SliceId.KERNEL_INEFFICIENCY: KERNELS}
    return {
        SliceId.PREFILL_IDEAL: f"prompt tokens and their context by formula, {DATASHEET}",
        SliceId.DECODE_WEIGHTS_IDEAL: f"weights read per decode step, {DATASHEET}",
        SliceId.DECODE_KV_IDEAL: f"cached tokens read per decode step, {DATASHEET}",
    }


def with_served_phases(
    metrics: Metrics, derived: Derived, outcome: Outcome, step_time: StepTime
) -> Metrics:
    """Rates of the phases: what was paid, split as the simulation of the same requests splits it.

    A server does not tell when it prefilled and when it decoded, and in a step with both nobody
    could; the fit tells their shares apart.
    """
    paid_s = metrics.paid_mean_s
    if metrics.target.kind != SERVER or paid_s is None or not outcome.window_s:
        return metrics
    per_s = paid_s / outcome.window_s
    cycles = outcome.requests / max(1, len(derived.requests))
    steps = round(outcome.steps / cycles)
    shape, precision = step_time.shape, derived.precision
    prefill = prefill_work(shape, precision, derived.requests, steps)
    decode = decode_work(shape, precision, derived.requests, steps)
    return replace(
        metrics,
        prefill=_rated(metrics, metrics.prefill, prefill, outcome.prefill_s * per_s),
        decode=_rated(metrics, metrics.decode, decode, outcome.decode_s * per_s),
    )


def _rated(metrics: Metrics, phase: PhaseMetrics, work: Work, device_s: float) -> PhaseMetrics:
    rated = phase_metrics(work, device_s, metrics.device, phase.latency_s)
    known = metrics.target.shape is not None
    return replace(
        phase,
        tokens_per_s=rated.tokens_per_s,
        mfu=rated.mfu if known else None,
        mbu=rated.mbu if known else None,
        mbu_analytic=rated.mbu_analytic if known else None,
        device_s=device_s,
    )

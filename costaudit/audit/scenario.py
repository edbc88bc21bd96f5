"""From what was measured to a scenario: the situation of today, ready to be changed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.steptime import Peaks, StepPoint, StepTime, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.measure.metrics import Metrics
    from costaudit.measure.steps import TimedLoad
    from costaudit.recording.rows import RequestRow

STEADY_REQUESTS = 200  # a window this long is ruled by its steady state, not by its last batch
KV_BLOCK_TOKENS = 16  # the block that PagedAttention (SOSP'23) found best; vLLM's default


def fit_step_time(
    metrics: Metrics, steps: Sequence[TimedLoad], *, param_bytes: float, kv_element_bytes: float
) -> StepTime:
    """The step-time model of this recording.

    Raises:
        InconclusiveError: too few steps, or the device's peaks are not known.
    """
    return fit(
        [
            StepPoint(
                load=step.load,
                seconds=step.seconds,
                spread_share=step.spread_share,
                held_out=step.held_out,
            )
            for step in steps
        ],
        shape=metrics.target.shape,
        peaks=peaks_of(metrics),
        param_bytes=param_bytes,
        kv_element_bytes=kv_element_bytes,
    )


def peaks_of(metrics: Metrics) -> Peaks:
    """Measured peaks of the device; the fit is judged against what this machine can do."""
    return Peaks(
        flops_per_s=float(metrics.device.peak_flops.value or math.nan),
        bandwidth_bytes_per_s=float(metrics.device.peak_bandwidth_bytes_per_s.value or math.nan),
        devices=metrics.device.count,
    )


def scenario_of(
    metrics: Metrics, requests: Sequence[RequestRow], step_time: StepTime, prices: Prices
) -> Scenario:
    """The audited situation: the replayed requests again and again, under today's knobs."""
    return Scenario(
        shape=metrics.target.shape,
        step_time=step_time,
        knobs=_knobs(metrics),
        traffic=steady_traffic(metrics, requests),
        prices=prices,
        devices=metrics.device.count,
        device_kind=metrics.device.kind,
    )


def repeats(requests: Sequence[RequestRow]) -> int:
    """How often the replayed requests are repeated to make a steady window."""
    return max(1, math.ceil(STEADY_REQUESTS / max(1, len(requests))))


def steady_traffic(metrics: Metrics, requests: Sequence[RequestRow]) -> Traffic:
    """The replayed requests, repeated whole: static batches stay exactly as they were run."""
    once = [
        Request(
            prompt_tokens=row.prompt_tokens,
            output_tokens=row.output_tokens,
            prefix_id=row.prefix_id,
            prefix_tokens=row.prefix_tokens,
        )
        for row in requests
    ]
    return Traffic(
        source=f"probe:{metrics.workload.probe}",
        requests=tuple(once * repeats(requests)),
        concurrency=int(_knob(metrics, "max_num_seqs") or 1),
    )


def _knobs(metrics: Metrics) -> Knobs:
    return Knobs(
        batching=Batching(str(_knob(metrics, "batching") or Batching.STATIC)),
        max_num_seqs=int(_knob(metrics, "max_num_seqs") or 1),
        kv_layout=KvLayout(str(_knob(metrics, "kv_layout") or KvLayout.DYNAMIC)),
        kv_budget_tokens=int(metrics.kv.capacity_tokens or 0),
        kv_block_tokens=int(_knob(metrics, "kv_block_tokens") or KV_BLOCK_TOKENS),
        prefix_caching=bool(_knob(metrics, "prefix_caching") or False),
        max_model_len=metrics.target.shape.max_context_tokens,
    )


def _knob(metrics: Metrics, name: str) -> float | str | None:
    knob = metrics.target.knobs.get(name)
    return None if knob is None else knob.value

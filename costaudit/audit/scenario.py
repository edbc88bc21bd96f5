"""From what was measured to a scenario: the situation of today, ready to be changed."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from costaudit.ground.errors import InconclusiveError
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.fit import StepPoint, fit
from costaudit.whatif.free_fit import STAND_IN_PEAKS, STAND_IN_SHAPE
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.steptime import Peaks, StepTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.measure.metrics import Metrics
    from costaudit.measure.steps import TimedLoad
    from costaudit.recording.rows import RequestRow

_Kind = TypeVar("_Kind", Batching, KvLayout)

SERVER = "server"  # kind of a target that batches continuously over a paged cache
STEADY_REQUESTS = 200  # a window this long is ruled by its steady state, not by its last batch
STEADY_CYCLES = 25  # likewise of requests per stream of a server
NULL_BLOCKS = 1  # of vLLM's pool, never given out: its usage gauge is over the others
KV_BLOCK_TOKENS = 16  # the block that PagedAttention (SOSP'23) found best; vLLM's default


def fit_step_time(
    metrics: Metrics, steps: Sequence[TimedLoad], *, param_bytes: float, kv_element_bytes: float
) -> StepTime:
    """The step-time model of this recording.

    Of a server whose shape or peaks are not known the fit is free of both, and claims no roofline.

    Raises:
        InconclusiveError: too few steps, or a device's peaks were not measured.
    """
    peaks = peaks_of(metrics)
    free = peaks is None or metrics.target.shape is None
    return fit(
        step_points(steps),
        shape=metrics.target.shape or STAND_IN_SHAPE,
        peaks=peaks or STAND_IN_PEAKS,
        param_bytes=param_bytes,
        kv_element_bytes=kv_element_bytes,
        free=free,
    )


def step_points(steps: Sequence[TimedLoad]) -> list[StepPoint]:
    """The timed steps as the fit takes them."""
    return [
        StepPoint(
            load=step.load,
            seconds=step.seconds,
            spread_share=step.spread_share,
            held_out=step.held_out,
            requests=step.requests,
        )
        for step in steps
    ]


def peaks_of(metrics: Metrics) -> Peaks | None:
    """Peaks of one replica: measured, or of a server the datasheet's; None: a server's unknown.

    Raises:
        InconclusiveError: those of this machine were not measured.
    """
    device = metrics.device
    flops, bandwidth = device.peak_flops.value, device.peak_bandwidth_bytes_per_s.value
    if flops and bandwidth:
        return Peaks(
            flops_per_s=float(flops) * device.count,
            bandwidth_bytes_per_s=float(bandwidth) * device.count,
            devices=device.count,
        )
    if metrics.target.kind == SERVER:
        return None
    raise InconclusiveError(
        "the device's peaks were not measured, so there is no speed of light to compare with",
        hint="attach with peaks=True, or let `costaudit profile` run to its end",
    )


def scenario_of(
    metrics: Metrics, requests: Sequence[RequestRow], step_time: StepTime, prices: Prices
) -> Scenario:
    """The audited situation: the replayed requests again and again, under today's knobs."""
    faster = metrics.device.int8_speedup
    return Scenario(
        shape=step_time.shape,
        step_time=step_time,
        knobs=_knobs(metrics, requests),
        traffic=steady_traffic(metrics, requests, think_s=step_time.request_s),
        prices=prices,
        devices=metrics.device.count,
        device_kind=metrics.device.kind,
        int8_speedup=(faster["decode"], faster["prefill"]) if len(faster) > 1 else None,
        low_bit=metrics.device.low_bit_speedup,
    )


def repeats(metrics: Metrics, requests: Sequence[RequestRow]) -> int:
    """How often the replayed requests are repeated to make a steady window."""
    wanted = STEADY_REQUESTS
    if metrics.target.kind == SERVER:
        wanted = max(wanted, STEADY_CYCLES * _concurrency(metrics, requests))
    return max(1, math.ceil(wanted / max(1, len(requests))))


def steady_traffic(
    metrics: Metrics, requests: Sequence[RequestRow], *, think_s: float = 0.0
) -> Traffic:
    """The replayed requests, repeated whole: static batches stay exactly as they were run.

    `think_s` is what a request of a server takes outside of the steps.
    """
    batches = 1 + max(row.batch for row in requests)
    served = metrics.target.kind == SERVER
    repeated = (
        Request(
            prompt_tokens=row.prompt_tokens,
            output_tokens=row.output_tokens,
            prefix_id=row.prefix_id,
            prefix_tokens=row.prefix_tokens,
            batch=None if served else row.batch + turn * batches,
        )
        for turn in range(repeats(metrics, requests))
        for row in requests
    )
    return Traffic(
        source=f"probe:{metrics.workload.probe}",
        requests=tuple(repeated),
        concurrency=_concurrency(metrics, requests),
        think_s=think_s if served else 0.0,
    )


def _concurrency(metrics: Metrics, requests: Sequence[RequestRow]) -> int:
    """Streams of a server's replay; of batches run in this process their size."""
    streams = metrics.observed.get("concurrency")
    return int(streams) if streams else _batch_size(metrics, requests)


def _batch_size(metrics: Metrics, requests: Sequence[RequestRow]) -> int:
    """As set, else the largest batch that was seen."""
    given = _knob(metrics, "max_num_seqs")
    if given is not None:
        return int(given)
    if metrics.target.kind == SERVER:  # it may take more; more than was sent decides nothing
        return int(metrics.observed.get("concurrency", 1))
    return max(Counter(row.batch for row in requests).values())


def _seen_tokens(metrics: Metrics, requests: Sequence[RequestRow]) -> int:
    """Tokens that a batch of the longest requests holds.

    Where the capacity is not known, memory is taken to be no larger than the window shows.
    """
    longest = max(r.prompt_tokens for r in requests) + max(r.output_tokens for r in requests)
    return _batch_size(metrics, requests) * longest


def _knobs(metrics: Metrics, requests: Sequence[RequestRow]) -> Knobs:
    served = metrics.target.kind == SERVER
    batching = Batching.CONTINUOUS if served else Batching.STATIC
    layout = KvLayout.PAGED if served else KvLayout.DYNAMIC
    budget = _knob(metrics, "max_num_batched_tokens")
    shape = metrics.target.shape
    block = int(_knob(metrics, "kv_block_tokens") or KV_BLOCK_TOKENS)
    return Knobs(
        batching=_known(Batching, _knob(metrics, "batching"), batching),
        max_num_seqs=_batch_size(metrics, requests),
        kv_layout=_known(KvLayout, _knob(metrics, "kv_layout"), layout),
        kv_budget_tokens=_pool_tokens(metrics, block) or _seen_tokens(metrics, requests),
        kv_block_tokens=block,
        max_num_batched_tokens=int(budget) if budget is not None else None,
        prefix_caching=bool(_knob(metrics, "prefix_caching") or False),
        chunked_prefill=_knob(metrics, "chunked_prefill") is not False,
        max_model_len=shape.max_context_tokens if shape is not None else 0,
    )


def _pool_tokens(metrics: Metrics, block_tokens: int) -> int | None:
    """What requests can have of the KV memory."""
    pool = metrics.kv.capacity_tokens
    if pool is not None and metrics.target.engine == "vllm" and metrics.target.kind == SERVER:
        pool -= NULL_BLOCKS * block_tokens
    return pool


def _known(kind: type[_Kind], told: object, usual: _Kind) -> _Kind:
    """What a target tells, where it is one of ours; an engine's own word for it is the usual."""
    return kind(str(told)) if told in list(kind) else usual


def _knob(metrics: Metrics, name: str) -> float | str | None:
    knob = metrics.target.knobs.get(name)
    return None if knob is None else knob.value

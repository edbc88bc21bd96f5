"""Prefill and decode of the workload: rates, MFU, MBU and latencies.

MFU and MBU count useful work: the prompts and answers of the requests as they are, without the
padding of a batch, over device time and measured peaks. What padding costs is a slice of the bill.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from costaudit.ground.stats import P99_MIN_SAMPLES, percentile
from costaudit.measure.metrics import Percentiles, PhaseMetrics
from costaudit.target import work
from costaudit.target.load import StepLoad

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.measure.metrics import DeviceMetrics
    from costaudit.measure.steps import TimedLoad
    from costaudit.recording.rows import Phase, RequestRow
    from costaudit.target.shape import ModelShape

MOST_POINTS = 120  # of a phase on the roofline
_CURVE_SHARES = (*(n / 100 for n in range(100)), 0.995, 0.999, 0.9999, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Bytes of a weight and of a cache element."""

    param_bytes: float
    kv_element_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Useful work of one phase over the whole window."""

    tokens: int
    flops: float
    bytes: float


def prefill_work(
    shape: ModelShape,
    precision: Precision,
    requests: Sequence[RequestRow],
    steps: int,
    *,
    tokens: int | None = None,
) -> Work:
    """Prompts as they are; the weights are read once per step, the prompts' KV written once.

    Where `requests` are drawn from more, `tokens` are of all prompts, and all goes with them.
    """
    drawn = sum(r.prompt_tokens for r in requests)
    tokens, times = _all_over_drawn(tokens, drawn)
    pairs = times * sum(r.prompt_tokens * (r.prompt_tokens + 1) // 2 for r in requests)
    load = StepLoad(prefill_tokens=tokens, prefill_pairs=pairs, prefill_seqs=times * len(requests))
    weights = steps * work.weight_bytes(shape, tokens / max(steps, 1), precision.param_bytes)
    written = times * sum(
        work.kv_bytes(shape, r.prompt_tokens, precision.kv_element_bytes) for r in requests
    )
    return Work(tokens=tokens, flops=work.prefill_flops(shape, load), bytes=weights + written)


def decode_work(
    shape: ModelShape,
    precision: Precision,
    requests: Sequence[RequestRow],
    steps: int,
    *,
    tokens: int | None = None,
) -> Work:
    """Every token after a request's first: o − 1 steps that see p, p + 1, … tokens of context.

    `tokens` as for `prefill_work`, of all those steps.
    """
    drawn = sum(r.output_tokens - 1 for r in requests)
    tokens, times = _all_over_drawn(tokens, drawn)
    context = times * sum(
        (r.output_tokens - 1) * (r.prompt_tokens + (r.output_tokens - 2) / 2) for r in requests
    )
    load = StepLoad(decode_seqs=tokens, decode_context_tokens=context)
    weights = steps * work.weight_bytes(shape, tokens / max(steps, 1), precision.param_bytes)
    kv = work.decode_kv_bytes(shape, load, precision.kv_element_bytes)
    return Work(tokens=tokens, flops=work.decode_flops(shape, load), bytes=weights + kv)


def _all_over_drawn(tokens: int | None, drawn: int) -> tuple[int, float]:
    """Tokens of all requests, and how many stand for each drawn one."""
    if tokens is None or not drawn:
        return drawn, 1.0
    return tokens, tokens / drawn


def phase_metrics(
    useful: Work, device_s: float, device: DeviceMetrics, latency_s: Percentiles
) -> PhaseMetrics:
    """Rates of a phase; None where its time or a peak is unknown. The bound needs the fit."""
    peak_flops = device.peak_flops.value
    peak_bytes = device.peak_bandwidth_bytes_per_s.value
    return PhaseMetrics(
        tokens_per_s=useful.tokens / device_s if device_s > 0 else None,
        mfu=_share(useful.flops, device_s, peak_flops),
        mbu=_share(useful.bytes, device_s, peak_bytes),
        latency_s=latency_s,
        bound=None,
        device_s=device_s,
        bandwidth_tier="T2: bytes by formula over device time, a lower bound on traffic",
    )


def _share(amount: float, device_s: float, peak: object) -> float | None:
    if not isinstance(peak, (int, float)) or peak <= 0 or device_s <= 0:
        return None
    return amount / device_s / peak


def roofline(
    shape: ModelShape, precision: Precision, steps: Iterable[TimedLoad], phase: Phase
) -> tuple[Mapping[str, float | str], ...]:
    """The step probes of one phase: FLOPs per byte and FLOPs per second of each.

    Of very many, some in order of their FLOPs per byte, and those that reach least and most.
    """
    points: list[dict[str, float | str]] = []
    for step in steps:
        if step.phase is not phase:
            continue
        load = step.load
        flops = work.prefill_flops(shape, load) + work.decode_flops(shape, load)
        moved = work.weight_bytes(shape, load.rows, precision.param_bytes)
        moved += work.decode_kv_bytes(shape, load, precision.kv_element_bytes)
        points.append(
            {
                "label": step.task,
                "flops_per_byte": flops / moved,
                "flops_per_s": flops / step.seconds,
                "seconds": step.seconds,
                "spread_share": step.spread_share,
            }
        )
    return tuple(_spread_out(points))


def _spread_out(points: list[dict[str, float | str]]) -> list[dict[str, float | str]]:
    if len(points) <= MOST_POINTS:
        return points
    ranked = sorted(points, key=itemgetter("flops_per_byte"))
    by_speed = sorted(ranked, key=itemgetter("flops_per_s"))
    evenly = ranked[:: -(-len(ranked) // MOST_POINTS)]
    kept = [*evenly, ranked[-1], by_speed[0], by_speed[-1]]
    return list({id(point): point for point in kept}.values())


def percentiles(values: Sequence[float]) -> Percentiles:
    """p50, p95 and, with enough samples behind it, p99; with the whole distribution."""
    if not values:
        return Percentiles(p50=None, p95=None, p99=None, samples=0)
    ordered = sorted(values)
    return Percentiles(
        p50=percentile(ordered, 0.5),
        p95=percentile(ordered, 0.95),
        p99=percentile(ordered, 0.99) if len(ordered) >= P99_MIN_SAMPLES else None,
        samples=len(ordered),
        curve=_curve(ordered),
    )


def _curve(ordered: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Every value where they are few; else percentiles, closer at the slow end, and both ends."""
    last = len(ordered) - 1
    if last < len(_CURVE_SHARES):
        return tuple((place / last if last else 1.0, v) for place, v in enumerate(ordered))
    return tuple((share, ordered[round(share * last)]) for share in _CURVE_SHARES)


def summarised(table: Mapping[str, float], values: Sequence[float] = ()) -> Percentiles:
    """The same from percentiles that were recorded as such, with the curve of `values`."""
    samples = int(table.get("samples", 0))
    return Percentiles(
        p50=table.get("p50"),
        p95=table.get("p95"),
        p99=table.get("p99") if samples >= P99_MIN_SAMPLES else None,
        samples=samples,
        curve=_curve(sorted(values)) if values else (),
    )

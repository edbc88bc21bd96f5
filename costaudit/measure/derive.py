"""Derives all metrics of a recording; pure, from the file alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval, mean
from costaudit.measure.attached import attached_requests
from costaudit.measure.metrics import (
    DeviceMetrics,
    KvMetrics,
    Metrics,
    Percentiles,
    PhaseMetrics,
    WorkloadMetrics,
)
from costaudit.measure.phases import (
    Precision,
    decode_work,
    percentiles,
    phase_metrics,
    prefill_work,
    roofline,
    summarised,
)
from costaudit.measure.reading import Reading
from costaudit.measure.steps import TimedLoad, reduce_rounds
from costaudit.recording.rows import Phase, Role
from costaudit.recording.target_facts import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import RequestRow, Sample
    from costaudit.target.target import Target

ELEMENT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "float8_e4m3fn": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """Metrics, the steps to fit, and the requests of the audited window."""

    metrics: Metrics
    steps: tuple[TimedLoad, ...]
    requests: tuple[RequestRow, ...]
    precision: Precision


def derive(recording: Recording) -> Derived:
    """All metrics of a recording.

    Raises:
        UsageError: the recording does not describe its target.
        InconclusiveError: it ended before its workload was run.
    """
    reading = Reading(facts=recording.facts())
    target = target_of(reading.facts)
    precision = _precision(target, reading)
    steps = reduce_rounds(recording.samples(Role.FIT, Role.HELD_OUT))
    window = recording.samples(Role.REPLAY)
    requests = tuple(recording.requests())
    if not window:
        window = recording.samples(Role.ATTACHED)
        steps = steps or reduce_rounds(window)
        requests = attached_requests(window)
    if not window or not requests:
        raise InconclusiveError(
            f"{recording.path} ended before its workload was run, so there is nothing to bill",
            hint=f"costaudit profile --resume {recording.path}",
        )
    metrics = _metrics(target, reading, precision, steps, window, requests)
    return Derived(metrics=metrics, steps=steps, requests=requests, precision=precision)


def _precision(target: Target, reading: Reading) -> Precision:
    """Bytes of a weight by the target's dtype; of a cache element as the tensors hold it.

    Raises:
        InconclusiveError: the dtype's size is not known.
    """
    weight = ELEMENT_BYTES.get(target.dtype)
    if weight is None:
        raise InconclusiveError(f"the size of a {target.dtype} weight is not known to costaudit")
    element = reading.fact("kv", "element_bytes")
    known = element.value if element is not None else None
    cache = float(known) if isinstance(known, (int, float)) else weight
    return Precision(param_bytes=weight, kv_element_bytes=cache)


def _metrics(
    target: Target,
    reading: Reading,
    precision: Precision,
    steps: Sequence[TimedLoad],
    window: Sequence[Sample],
    requests: Sequence[RequestRow],
) -> Metrics:
    device = _device(reading)
    prefill, decode = (
        _phase(phase, target, reading, precision, device, steps, window, requests)
        for phase in (Phase.PREFILL, Phase.DECODE)
    )
    return Metrics(
        target=target,
        device=device,
        workload=_workload(reading, requests),
        prefill=prefill,
        decode=decode,
        kv=_kv(reading),
        paid_device_s=_paid(window),
        unknown=reading.unknown,
    )


def _device(reading: Reading) -> DeviceMetrics:
    return DeviceMetrics(
        name=reading.text("device", "name") or "unnamed device",
        kind=reading.text("device", "kind"),
        count=reading.whole("device", "count", "device.count") or 1,
        memory_bytes=reading.whole("device", "memory_bytes", "device.memory_bytes"),
        peak_flops=reading.value("device", "peak_flops", "device.peak_flops"),
        peak_bandwidth_bytes_per_s=reading.value(
            "device", "peak_bandwidth_bytes_per_s", "device.peak_bandwidth_bytes_per_s"
        ),
        datasheet_flops=reading.value("device", "datasheet_flops", "device.datasheet_flops"),
        datasheet_bandwidth_bytes_per_s=reading.value(
            "device", "datasheet_bandwidth_bytes_per_s", "device.datasheet_bandwidth_bytes_per_s"
        ),
    )


def _phase(
    phase: Phase,
    target: Target,
    reading: Reading,
    precision: Precision,
    device: DeviceMetrics,
    steps: Sequence[TimedLoad],
    window: Sequence[Sample],
    requests: Sequence[RequestRow],
) -> PhaseMetrics:
    own = [s for s in window if s.phase is phase]
    fastest = spans(own)
    count = sum(s.steps for s in fastest)
    useful_work = prefill_work if phase is Phase.PREFILL else decode_work
    metrics = phase_metrics(
        useful_work(target.shape, precision, requests, count),
        sum(s.seconds for s in fastest),
        device,
        _latency(phase, reading, requests),
    )
    path = f"phases.{phase}"
    _explain(reading, metrics, path)
    return replace(metrics, roofline=roofline(target.shape, precision, steps, phase))


def spans(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Of each span of the window the fastest round, in the order first run."""
    fastest: dict[tuple[str, Phase], Sample] = {}
    for sample in samples:
        key = (sample.task, sample.phase)
        if key not in fastest or sample.seconds < fastest[key].seconds:
            fastest[key] = sample
    return tuple(fastest.values())


def _latency(phase: Phase, reading: Reading, requests: Sequence[RequestRow]) -> Percentiles:
    if phase is Phase.PREFILL:
        return percentiles([r.ttft_s for r in requests if r.ttft_s is not None])
    return summarised(reading.table("replay", "itl_s"))


def _explain(reading: Reading, metrics: PhaseMetrics, path: str) -> None:
    name = "ttft_s" if path.endswith("prefill") else "itl_s"
    few = f"{metrics.latency_s.samples} samples are too few for it"
    reading.unknown[f"{path}.{name}"] = few
    reading.unknown[f"{path}.tokens_per_s"] = "no step of this phase was run"
    for share in ("mfu", "mbu"):
        reading.unknown[f"{path}.{share}"] = "the device's peak or this phase's time is not known"


def _paid(window: Sequence[Sample]) -> Interval:
    """Device seconds of the window once: the fastest round of each span, and the mean round."""
    rounds: dict[tuple[str, Phase], list[float]] = {}
    for sample in window:
        rounds.setdefault((sample.task, sample.phase), []).append(sample.seconds)
    return Interval(
        low=sum(min(times) for times in rounds.values()),
        high=sum(mean(times) for times in rounds.values()),
    )


def _workload(reading: Reading, requests: Sequence[RequestRow]) -> WorkloadMetrics:
    scale = reading.fact("workload", "scale")
    shared = sum(r.prefix_tokens for r in requests if r.prefix_id is not None)
    return WorkloadMetrics(
        probe=reading.text("workload", "probe") or "attached",
        stands_for=reading.text("workload", "stands_for"),
        prompt_tokens=_lengths([r.prompt_tokens for r in requests]),
        output_tokens=_lengths([r.output_tokens for r in requests]),
        prefix_share=shared / max(1, sum(r.prompt_tokens for r in requests)),
        requests=len(requests),
        scale=float(scale.value) if scale and isinstance(scale.value, (int, float)) else 1.0,
        scale_why=scale.why if scale else "",
        slo=reading.table("workload", "slo"),
    )


def _lengths(tokens: Sequence[int]) -> Mapping[str, float]:
    known = percentiles([float(t) for t in tokens])
    return {"mean": mean([float(t) for t in tokens]), "p50": known.p50 or 0, "p95": known.p95 or 0}


def _kv(reading: Reading) -> KvMetrics:
    waste = reading.table("kv", "waste_share")
    layout = reading.fact("knob", "kv_layout")
    in_use = waste.get(str(layout.value)) if layout is not None else None
    reading.unknown["kv_cache.waste_share"] = "the layout in use or the requests' lengths are unknown"
    reading.unknown["kv_cache.preemptions"] = (
        "static batches are never preempted; this engine counts none"
    )
    reading.unknown["kv_cache.prefix_hit_share"] = "this engine keeps no prefix cache"
    return KvMetrics(
        bytes_per_token=reading.number("kv", "bytes_per_token", "kv_cache.bytes_per_token"),
        bytes_per_token_formula=reading.number(
            "kv", "bytes_per_token_formula", "kv_cache.bytes_per_token_formula"
        ),
        capacity_tokens=reading.whole("kv", "capacity_tokens", "kv_cache.capacity_tokens"),
        usage_peak_share=reading.number("kv", "usage_peak_share", "kv_cache.usage_peak_share"),
        waste_share=in_use,
        waste_by_layout=waste,
        max_concurrency=reading.whole("kv", "max_concurrency", "kv_cache.max_concurrency"),
        ramp=_ramp(reading),
    )


def _ramp(reading: Reading) -> tuple[Mapping[str, float], ...]:
    stages = [
        fact.value
        for name, fact in reading.facts.get("kv", {}).items()
        if name.startswith("ramp/") and isinstance(fact.value, dict)
    ]
    return tuple(sorted(stages, key=lambda stage: float(stage.get("seqs", 0))))

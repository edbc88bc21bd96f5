"""Groups of metrics that are read straight off a recording's facts: device, workload, KV cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.stats import percentile
from costaudit.measure.metrics import DeviceMetrics, KvMetrics, WorkloadMetrics
from costaudit.measure.reading import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.measure.reading import Reading
    from costaudit.recording.drawn import Lengths


def device_metrics(reading: Reading) -> DeviceMetrics:
    """The device, its measured peaks and its datasheet."""
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
        int8_speedup={
            phase: float(ratio)
            for phase, ratio in reading.table("device", "int8_speedup").items()
            if is_number(ratio) and ratio > 0
        },
        low_bit_speedup=_low_bit(reading),
    )


def _low_bit(reading: Reading) -> tuple[tuple[str, tuple[tuple[float, float], ...]], ...]:
    """By format the times as fast by rows, rising in the rows."""
    prefix, found = "low_bit_speedup/", []
    for name, fact in sorted(reading.facts.get("device", {}).items()):
        if name.startswith(prefix) and isinstance(fact.value, dict):
            points = sorted(
                (float(rows), float(ratio))
                for rows, ratio in fact.value.items()
                if str(rows).isdigit() and is_number(ratio) and ratio > 0
            )
            if points:
                found.append((name.removeprefix(prefix), tuple(points)))
    return tuple(found)


def workload_metrics(reading: Reading, lengths: Lengths) -> WorkloadMetrics:
    """The probe as it was really run."""
    scale = reading.fact("workload", "scale")
    return WorkloadMetrics(
        probe=reading.text("workload", "probe") or "attached",
        stands_for=reading.text("workload", "stands_for"),
        prompt_tokens=_percentiles(lengths.prompt_tokens, lengths.prompt_sum / lengths.count),
        output_tokens=_percentiles(lengths.output_tokens, lengths.output_sum / lengths.count),
        prefix_share=lengths.prefix_sum / max(1, lengths.prompt_sum),
        requests=lengths.count,
        scale=float(scale.value) if scale and is_number(scale.value) else 1.0,
        scale_why=scale.why if scale else "",
        slo=reading.table("workload", "slo"),
    )


def _percentiles(tokens: Sequence[int], mean: float) -> Mapping[str, float]:
    ordered = sorted(map(float, tokens))
    return {"mean": mean, "p50": percentile(ordered, 0.5), "p95": percentile(ordered, 0.95)}


def kv_metrics(reading: Reading) -> KvMetrics:
    """The cache as its tensors hold it, its waste by layout, and the pressure ramp."""
    waste = reading.table("kv", "waste_share")
    layout = reading.fact("knob", "kv_layout")
    reading.unknown.update(
        {
            "kv_cache.waste_share": "the layout in use or the requests' lengths are unknown",
            "kv_cache.preemptions": "static batches are never preempted; this engine counts none",
            "kv_cache.prefix_hit_share": "this engine keeps no prefix cache",
        }
    )
    return KvMetrics(
        bytes_per_token=reading.number("kv", "bytes_per_token", "kv_cache.bytes_per_token"),
        bytes_per_token_formula=reading.number(
            "kv", "bytes_per_token_formula", "kv_cache.bytes_per_token_formula"
        ),
        capacity_tokens=reading.whole("kv", "capacity_tokens", "kv_cache.capacity_tokens"),
        usage_peak_share=reading.number("kv", "usage_peak_share", "kv_cache.usage_peak_share"),
        waste_share=waste.get(str(layout.value)) if layout is not None else None,
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

"""The document's sections on what was measured: plain dictionaries from typed metrics."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.audit.pressure_section import pressure_section

if TYPE_CHECKING:
    from costaudit.measure.metrics import (
        Counters,
        DeviceMetrics,
        KvMetrics,
        Metrics,
        Percentiles,
        PhaseMetrics,
        WorkloadMetrics,
    )
    from costaudit.target.target import Target, Value


def measured_sections(metrics: Metrics) -> dict[str, Any]:
    """target, device, workload, phases and kv_cache."""
    return {
        "target": target_section(metrics.target),
        "device": device_section(metrics.device),
        "workload": workload_section(metrics.workload),
        "phases": {
            "prefill": phase_section(metrics.prefill, "ttft_s"),
            "decode": phase_section(metrics.decode, "itl_s"),
        },
        "kv_cache": kv_section(metrics.kv),
    }


def target_section(target: Target) -> dict[str, Any]:
    """What was audited; the shape without its empty parts."""
    known = asdict(target.shape) if target.shape else {}
    shape = {k: v for k, v in known.items() if v is not None and v != ()}
    return {
        "kind": target.kind,
        "engine": target.engine,
        "engine_version": target.engine_version,
        "model": target.model,
        "weights": target.weights or None,
        "dtype": target.dtype,
        "knobs": {name: value_section(knob) for name, knob in sorted(target.knobs.items())},
        "shape": {k: list(v) if isinstance(v, tuple) else v for k, v in shape.items()},
    }


def value_section(value: Value) -> dict[str, Any]:
    """A value with its origin."""
    section: dict[str, Any] = {"value": value.value, "origin": str(value.origin)}
    return section | ({"why": value.why} if value.why else {})


def device_section(device: DeviceMetrics) -> dict[str, Any]:
    """The device and its peaks; of a GPU also its allocator and how its clocks were held down."""
    course = {"allocator": device.allocator, "throttled_share": device.throttled_share}
    return {
        "name": device.name,
        "kind": device.kind or None,
        "count": device.count,
        "memory_bytes": device.memory_bytes,
        "peak_flops": value_section(device.peak_flops),
        "peak_bandwidth_bytes_per_s": value_section(device.peak_bandwidth_bytes_per_s),
        "datasheet_flops": value_section(device.datasheet_flops),
        "datasheet_bandwidth_bytes_per_s": value_section(device.datasheet_bandwidth_bytes_per_s),
        **{name: dict(seen) for name, seen in course.items() if seen},
    }


def workload_section(workload: WorkloadMetrics) -> dict[str, Any]:
    """The probe as it was really run."""
    return {
        "probe": workload.probe,
        "stands_for": workload.stands_for,
        "prompt_tokens": dict(workload.prompt_tokens),
        "output_tokens": dict(workload.output_tokens),
        "prefix_share": workload.prefix_share,
        "requests": workload.requests,
        "scale": workload.scale,
        "scale_why": workload.scale_why,
        "slo": dict(workload.slo),
    }


def phase_section(phase: PhaseMetrics, latency: str) -> dict[str, Any]:
    """Prefill or decode; `latency` names its percentiles."""
    return {
        "tokens_per_s": phase.tokens_per_s,
        "mfu": phase.mfu,
        "mbu": phase.mbu,
        latency: percentiles_section(phase.latency_s),
        "bound": phase.bound,
        "device_s": phase.device_s,
        "bandwidth_tier": phase.bandwidth_tier,
        "mbu_tier": phase.mbu_tier,
        **_counted(phase),
        "roofline": [dict(point) for point in phase.roofline],
    }


def _counted(phase: PhaseMetrics) -> dict[str, Any]:
    """What a GPU's counters add; nothing where none were read."""
    if phase.counters is None:
        return {}
    both = {"mbu_measured": phase.mbu_measured, "mbu_analytic": phase.mbu_analytic}
    known = {name: value for name, value in both.items() if value is not None}
    return known | {"counters": counters_section(phase.counters)}


def counters_section(counters: Counters) -> dict[str, Any]:
    """One span by the device's counters; a value that none gave is left out, `why` tells of it."""
    throttled = dict(counters.throttled_share)
    section = asdict(counters) | {"throttled_share": throttled or None}
    return {name: value for name, value in section.items() if value is not None}


def percentiles_section(values: Percentiles) -> dict[str, Any]:
    """p50, p95 and p99 with the number of samples behind them, and the curve where it is known."""
    section = {"p50": values.p50, "p95": values.p95, "p99": values.p99, "samples": values.samples}
    return section | ({"curve": [list(point) for point in values.curve]} if values.curve else {})


def kv_section(kv: KvMetrics) -> dict[str, Any]:
    """The KV cache and what the pressure ramp found."""
    return {
        "bytes_per_token": kv.bytes_per_token,
        "bytes_per_token_formula": kv.bytes_per_token_formula,
        "capacity_tokens": kv.capacity_tokens,
        "usage_peak_share": kv.usage_peak_share,
        "waste_share": kv.waste_share,
        "waste_by_layout": dict(kv.waste_by_layout),
        "preemptions": kv.preemptions,
        "prefix_hit_share": kv.prefix_hit_share,
        "max_concurrency": kv.max_concurrency,
        "ramp": [dict(stage) for stage in kv.ramp],
        **({} if kv.pressure is None else {"pressure": pressure_section(kv.pressure)}),
    }

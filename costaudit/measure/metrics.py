"""The groups of metrics, one per subject.

A field is None only where a sentence in `Metrics.unknown` (keyed by the field's path in the audit
document, such as "phases.decode.mbu") says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.ground.stats import Interval
    from costaudit.target.target import Target, Value

Bound = Literal["compute", "bandwidth", "overhead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """p50, p95, p99; p99 is None below the samples it needs."""

    p50: float | None
    p95: float | None
    p99: float | None
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseMetrics:
    """Prefill or decode of the replayed workload; rates per device-second of that phase.

    MFU and MBU are over measured peaks: FLOPs and bytes by formula over device time.
    `latency_s` is TTFT for prefill, ITL for decode.
    """

    tokens_per_s: float | None
    mfu: float | None
    mbu: float | None
    latency_s: Percentiles
    bound: Bound | None
    device_s: float
    bandwidth_tier: str  # the tier of the instrument behind `mbu`
    roofline: tuple[Mapping[str, float | str], ...] = ()  # per probe, for the report


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMetrics:
    """The device and its peaks (dtype of the weights), each with its origin."""

    name: str
    kind: str  # "cpu" or "cuda"
    count: int
    memory_bytes: int | None
    peak_flops: Value
    peak_bandwidth_bytes_per_s: Value
    datasheet_flops: Value
    datasheet_bandwidth_bytes_per_s: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class KvMetrics:
    """KV cache as the tensors hold it, and what the pressure ramp found."""

    bytes_per_token: float | None
    bytes_per_token_formula: float | None
    capacity_tokens: int | None
    usage_peak_share: float | None
    waste_share: float | None  # of the layout in use
    waste_by_layout: Mapping[str, float] = field(default_factory=dict)
    preemptions: int | None = None
    prefix_hit_share: float | None = None
    max_concurrency: int | None = None
    ramp: tuple[Mapping[str, float], ...] = ()  # the pressure ramp: seqs, tokens, bytes, s


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadMetrics:
    """The probe as it was really run, after scaling."""

    probe: str
    stands_for: str
    prompt_tokens: Mapping[str, float]  # mean, p50, p95
    output_tokens: Mapping[str, float]
    prefix_share: float
    requests: int
    scale: float  # 1 where lengths were not scaled
    scale_why: str
    slo: Mapping[str, float]  # ttft_s, itl_s as declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """All that is derived from one recording before any model is fitted."""

    target: Target
    device: DeviceMetrics
    workload: WorkloadMetrics
    prefill: PhaseMetrics
    decode: PhaseMetrics
    kv: KvMetrics
    paid_device_s: Interval  # of the replayed window: fastest and mean of the rounds
    unknown: Mapping[str, str] = field(default_factory=dict)

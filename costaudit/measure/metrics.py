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
    from costaudit.measure.pressure import Pressure
    from costaudit.target.target import Target, Value

Bound = Literal["compute", "bandwidth", "overhead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """p50, p95, p99; p99 is None below the samples it needs.

    `curve` is the whole distribution, as values at rising shares from 0 (the fastest) to 1 (the
    slowest); empty where only the percentiles were recorded.
    """

    p50: float | None
    p95: float | None
    p99: float | None
    samples: int
    curve: tuple[tuple[float, float], ...] = ()  # (share, seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a GPU's own counters read while one step of this phase was repeated.

    Attributes:
        probe: the step probe that was repeated, and its `steps` and wall `seconds`.
        tier: of the counter of DRAM traffic: "T1" GPM, "T1'" DCGM, "T2" none could tell.
        dram_share: traffic over the theoretical bandwidth of clock and bus, 0 to 1.
        dram_bytes: the same in bytes of the whole span.
        traffic_over_formula: `dram_bytes` over the formula's bytes of the same steps.
        sm_share, tensor_share: time in which SMs, or tensor cores, were busy.
        energy_j_per_token: energy of the device over the tokens of the span (T3).
        throttled_share: of the span's time, by reason.
        memory_accessed_share: `utilization.memory`: time in which memory was touched at all (T4).
        why: why no better tier could tell; "" with T1.
    """

    probe: str
    steps: int
    seconds: float
    tier: str
    dram_share: float | None
    dram_bytes: float | None
    traffic_over_formula: float | None
    sm_share: float | None
    tensor_share: float | None
    energy_j_per_token: float | None
    throttled_share: Mapping[str, float]
    memory_accessed_share: float | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseMetrics:
    """Prefill or decode of the replayed workload; rates per device-second of that phase.

    MFU and MBU are over measured peaks: FLOPs and bytes over device time. FLOPs are by formula;
    bytes by the best tier that was recorded: `mbu` is `mbu_measured` where a counter spoke (bytes
    by formula times `counters.traffic_over_formula`), else `mbu_analytic`. `doubts` tells what does
    not fit together. `latency_s` is TTFT for prefill, ITL for decode.
    """

    tokens_per_s: float | None
    mfu: float | None
    mbu: float | None
    latency_s: Percentiles
    bound: Bound | None
    device_s: float
    bandwidth_tier: str  # the tier of the instrument behind `mbu`, and what it is
    mbu_analytic: float | None = None
    mbu_measured: float | None = None
    counters: Counters | None = None
    doubts: tuple[str, ...] = ()
    roofline: tuple[Mapping[str, float | str], ...] = ()  # per probe, for the report

    @property
    def mbu_tier(self) -> str:
        """The tier behind `mbu` alone, such as "T1"."""
        return self.bandwidth_tier.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMetrics:
    """The device and its peaks (dtype of the weights), each with its origin.

    `allocator` holds the highest allocated_peak_bytes, reserved_peak_bytes and
    fragmented_peak_share of the run, `throttled_share` the share of the run in which the clocks
    were held down, by reason; both are empty where nobody counted (a CPU).
    """

    name: str
    kind: str  # "cpu" or "cuda"
    count: int
    memory_bytes: int | None
    peak_flops: Value
    peak_bandwidth_bytes_per_s: Value
    datasheet_flops: Value
    datasheet_bandwidth_bytes_per_s: Value
    int8_speedup: Mapping[str, float] = field(default_factory=dict)  # by phase, of linear layers
    # of linear layers in other formats: (format, ((rows, times as fast), …))
    low_bit_speedup: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
    allocator: Mapping[str, float] = field(default_factory=dict)
    throttled_share: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KvMetrics:
    """KV cache as the tensors hold it, and what pressure on it showed (`pressure`: a server's)."""

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
    pressure: Pressure | None = None


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
    paid_device_s: Interval  # of the replayed window: fastest and mean of the rounds, or, of a
    # server, the 95 % interval around `paid_mean_s`
    paid_mean_s: float | None = None  # None: the low end of `paid_device_s` stands for the whole
    observed: Mapping[str, float] = field(
        default_factory=dict
    )  # "concurrency" of a server's replay
    unknown: Mapping[str, str] = field(default_factory=dict)

"""What the driver and its counters tell of one homogeneous span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BRIEFEST_SPAN_S = 1.2  # GPM needs 0.5 s, the energy counter and the utilisation rates 1 s


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanReading:
    """What the device did between the two ends of a span.

    Attributes:
        seconds: wall seconds between the ends.
        bandwidth_share: measured DRAM traffic over the theoretical bandwidth, 0 to 1; None without
            T1 and T1': then `why` tells why, and the analytic tier stands.
        bandwidth_tier: "T1" or "T1'" where it was measured, else "T2".
        dram_bytes: that share as bytes, by the theoretical bandwidth of clock and bus.
        sm_share: mean share of SMs busy; None without T1.
        tensor_share: share of time with any tensor operation; None without T1.
        energy_j: by the energy counter (T3); None below 1 s or without the counter.
        throttled_share: by reason, from counters; None where the device does not count.
        memory_accessed_share: `utilization.memory` at the end of the span (T4): share of the last
            second or less in which memory was touched at all, which is not bandwidth.
        kernel_running_share: `utilization.gpu`, likewise: share with a kernel running.
        why: why there is no better tier; "" with T1.
    """

    seconds: float
    bandwidth_share: float | None
    bandwidth_tier: str
    dram_bytes: float | None
    sm_share: float | None
    tensor_share: float | None
    energy_j: float | None
    throttled_share: Mapping[str, float] | None
    memory_accessed_share: float | None = None
    kernel_running_share: float | None = None
    why: str = ""


@dataclass(slots=True)
class Span:
    """An open span: go on until `enough()` is true; `reading` is there once it is closed."""

    enough: Callable[[], bool]
    reading: SpanReading | None = None

"""NVML: what the driver tells about one NVIDIA GPU, in tiers.

Memory bandwidth, best first: T1 GPM DRAM counters (Hopper and newer) · T1' DCGM · T2 analytic bytes
over device time, always there · T3 the energy counter, a proxy · T4 `utilization.memory`, which is
the share of time the memory was touched and no bandwidth. A missing, refused or lost instrument is
a state with its reason and never ends a run.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from costaudit.facts.gpus import theoretical_bandwidth_bytes_per_s
from costaudit.record.meters.gpm import TIER as MEASURED_TIER
from costaudit.record.meters.gpm import Gpm
from costaudit.record.meters.nvml_channels import (
    CHANNELS,
    THROTTLE_BITS,
    Channel,
    Readings,
    throttled_shares,
)
from costaudit.record.meters.nvml_faults import fault
from costaudit.recording.rows import Fact, Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

ANALYTIC_TIER = "T2"
MIN_ENERGY_SPAN_S = 1.0  # an A100's or H100's sensor sees a quarter of the time (arXiv 2312.02741)
_ALWAYS = (
    Instrument(
        meter="dcgm",
        state=State.ABSENT,
        tier="T1'",
        why="not read by this version; a dcgm-exporter beside the target could give DRAM_ACTIVE",
    ),
    Instrument(
        meter="analytic",
        state=State.OK,
        tier=ANALYTIC_TIER,
        why="bytes by formula over device time: a lower bound on traffic",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanReading:
    """What the device did between the two ends of a span.

    Attributes:
        seconds: wall seconds between the ends.
        bandwidth_share: measured DRAM traffic over the theoretical bandwidth, 0 to 1; None without
            T1: then `why` tells why, and the analytic tier stands.
        bandwidth_tier: "T1" where it was measured, else "T2".
        dram_bytes: that share as bytes, by the theoretical bandwidth of clock and bus.
        sm_share: mean share of SMs busy; None without T1.
        tensor_share: share of time with any tensor operation; None without T1.
        energy_j: by the energy counter; None below MIN_ENERGY_SPAN_S or without the counter.
        throttled_share: by reason, from counters; None where the device does not count.
    """

    seconds: float
    bandwidth_share: float | None
    bandwidth_tier: str
    dram_bytes: float | None
    sm_share: float | None
    tensor_share: float | None
    energy_j: float | None
    throttled_share: Mapping[str, float] | None
    why: str = ""


@dataclass(slots=True)
class Span:
    """Holds a span's reading once the span is closed."""

    reading: SpanReading | None = None


def span_gauges(reading: SpanReading, *, t_s: float, label: str) -> list[Gauge]:
    """A span as rows of the recording: meter "nvml.span", names "<label>.<what>", known ones only.

    Which tier stands behind it is in the instruments' rows: no `bandwidth_share` means T2.
    """
    values: list[tuple[str, float | None, str]] = [
        ("seconds", reading.seconds, "s"),
        ("bandwidth_share", reading.bandwidth_share, "share"),
        ("dram", reading.dram_bytes, "B"),
        ("sm_share", reading.sm_share, "share"),
        ("tensor_share", reading.tensor_share, "share"),
        ("energy", reading.energy_j, "J"),
    ]
    throttled = reading.throttled_share or {}
    values += [(f"throttled_{reason}_share", s, "share") for reason, s in throttled.items()]
    return [
        Gauge(t_s=t_s, meter="nvml.span", name=f"{label}.{name}", value=value, unit=unit)
        for name, value, unit in values
        if value is not None
    ]


def open_nvml(device: int | str = 0) -> NvmlMeter | Instrument:
    """The meter of a GPU by NVML index or UUID; or the state that tells why there is none.

    NVML's index ignores CUDA_VISIBLE_DEVICES: hand in the UUID when torch runs on the device.
    """
    try:
        import pynvml
    except ImportError:
        why = "the package nvidia-ml-py is not installed"
        return Instrument(meter="nvml", state=State.ABSENT, why=why)
    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as err:
        state, why = fault(nvml, err, "no NVIDIA driver answers")
        return Instrument(meter="nvml", state=state, why=why)
    try:
        return NvmlMeter(nvml, _handle(nvml, device))
    except nvml.NVMLError as err:
        state, why = fault(nvml, err, f"device {device}")
        nvml.nvmlShutdown()
        return Instrument(meter="nvml", state=state, why=why)


def _handle(nvml: Any, device: int | str) -> Any:
    if isinstance(device, int):
        return nvml.nvmlDeviceGetHandleByIndex(device)
    uuid = device if device.startswith(("GPU-", "MIG-")) else f"GPU-{device}"
    return nvml.nvmlDeviceGetHandleByUUID(uuid)


def _peak_bandwidth(nvml: Any, handle: Any) -> float:
    return theoretical_bandwidth_bytes_per_s(
        memory_clock_mhz=nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM),
        bus_width_bits=nvml.nvmlDeviceGetMemoryBusWidth(handle),
    )


class NvmlMeter:
    """An open GPU. Use `open_nvml`, then close it (context manager)."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._open = True
        self._channels: dict[str, Channel] = {}
        self._states = {row.meter: row for row in _ALWAYS}
        for channel in CHANNELS:
            self._try(channel)
        if THROTTLE_BITS.meter not in self._channels:
            self._try(THROTTLE_BITS)
        self._gpm = Gpm(nvml, handle)
        self._peak_bytes_per_s, _ = self._ask(lambda: _peak_bandwidth(nvml, handle))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let NVML go; samples after this are empty."""
        if self._open:
            self._open = False
            self._channels.clear()
            self._ask(self._nvml.nvmlShutdown)

    def instruments(self) -> list[Instrument]:
        """The state of every tier and instrument of this GPU."""
        nvml = Instrument(meter="nvml", state=State.OK)
        return [nvml, self._gpm.state, *self._states.values()]

    def sample(self, t_s: float) -> list[Gauge]:
        """One reading of each instrument that works."""
        return [
            Gauge(t_s=t_s, meter=meter, name=name, value=float(value), unit=unit)
            for meter in list(self._channels)
            for name, value, unit in self._read(meter)
        ]

    def facts(self) -> list[Fact]:
        """What the driver says of the device, subject "gpu"; an unknown value has its reason."""
        nvml, handle = self._nvml, self._handle
        asked: dict[str, tuple[str, Callable[[], object]]] = {
            "name": ("", lambda: nvml.nvmlDeviceGetName(handle)),
            "uuid": ("", lambda: nvml.nvmlDeviceGetUUID(handle)),
            "driver": ("", nvml.nvmlSystemGetDriverVersion),
            "count": ("", nvml.nvmlDeviceGetCount),
            "memory_total": ("B", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total),
            "compute_capability": ("", lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle)),
            "theoretical_bandwidth": ("B/s", lambda: _peak_bandwidth(nvml, handle)),
            "power_limit": ("W", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3),
        }
        rows = []
        for name, (unit, ask) in asked.items():
            value, why = self._ask(ask)
            origin = "unknown" if value is None else "observed"
            rows.append(
                Fact(subject="gpu", name=name, value=value, unit=unit, origin=origin, why=why)
            )
        return rows

    @contextmanager
    def span(self) -> Iterator[Span]:
        """A span of one homogeneous phase: `with meter.span() as span: …`, then `span.reading`.

        Let the device finish its work before both ends (`torch.cuda.synchronize()`); below
        0.5 s there is no bandwidth. Spans may nest.
        """
        span = Span()
        before = self._counters()
        begun = self._gpm.begin()
        began_s = time.perf_counter()
        try:
            yield span
        finally:
            span.reading = self._reading(before, begun, time.perf_counter() - began_s)

    def _reading(self, before: Mapping[str, float], begun: Any, seconds: float) -> SpanReading:
        seen = self._gpm.end(begun, seconds)
        after = self._counters()
        measured, peak = seen.dram_share, self._peak_bytes_per_s
        known = measured is not None and peak is not None
        long_enough = seconds >= MIN_ENERGY_SPAN_S and "energy" in before and "energy" in after
        return SpanReading(
            seconds=seconds,
            bandwidth_share=measured,
            bandwidth_tier=ANALYTIC_TIER if measured is None else MEASURED_TIER,
            dram_bytes=measured * peak * seconds if known else None,
            sm_share=seen.sm_share,
            tensor_share=seen.tensor_share,
            energy_j=after["energy"] - before["energy"] if long_enough else None,
            throttled_share=throttled_shares(before, after, seconds) or None,
            why=seen.why,
        )

    def _counters(self) -> dict[str, float]:
        rows = (*self._read("nvml.energy"), *self._read("nvml.throttle"))
        return {name: value for name, value, _ in rows}

    def _ask(self, ask: Callable[[], Any]) -> tuple[Any, str]:
        try:
            return ask(), ""
        except self._nvml.NVMLError as err:
            return None, f"{err} (NVML {err.value})"

    def _try(self, channel: Channel) -> None:
        try:
            channel.read(self._nvml, self._handle)
        except self._nvml.NVMLError as err:
            state, why = fault(self._nvml, err, channel.meter)
        else:
            state, why = State.OK, channel.meaning
            self._channels[channel.meter] = channel
        self._states[channel.meter] = Instrument(
            meter=channel.meter, state=state, tier=channel.tier, why=why
        )

    def _read(self, meter: str) -> Readings:
        channel = self._channels.get(meter)
        if channel is None:
            return ()
        try:
            return channel.read(self._nvml, self._handle)
        except self._nvml.NVMLError as err:
            state, why = fault(self._nvml, err, meter, worked=True)
            self._channels.pop(meter, None)
            self._states[meter] = Instrument(meter=meter, state=state, tier=channel.tier, why=why)
            return ()

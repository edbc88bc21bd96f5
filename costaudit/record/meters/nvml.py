"""NVML: what the driver tells about one NVIDIA GPU, in tiers.

Memory bandwidth, best first: T1 GPM DRAM counters (Hopper and newer) · T1' DCGM · T2 analytic bytes
over device time, always there · T3 the energy counter, a proxy · T4 `utilization.memory`, which is
the share of time the memory was touched and no bandwidth. A missing, refused or lost instrument is
a state with its reason and never ends a run.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from costaudit.facts.gpus import theoretical_bandwidth_bytes_per_s
from costaudit.record.meters.dcgm import DcgmMeter, dcgm_url
from costaudit.record.meters.dram_counters import ANALYTIC_TIER, Begun, DramCounters
from costaudit.record.meters.gpm import Gpm, GpmCourse
from costaudit.record.meters.nvml_channels import (
    CHANNELS,
    THROTTLE_BITS,
    Channel,
    Readings,
    throttled_shares,
)
from costaudit.record.meters.nvml_faults import fault
from costaudit.record.meters.span_reading import Span, SpanReading
from costaudit.recording.rows import Fact, Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

MIN_ENERGY_SPAN_S = 1.0  # an A100's or H100's sensor sees a quarter of the time (arXiv 2312.02741)
MIN_BUSY_SPAN_S = 1.0  # utilisation rates are over the last 1/6 to 1 s (nvml.h)
_ANALYTIC = Instrument(
    meter="analytic",
    state=State.OK,
    tier=ANALYTIC_TIER,
    why="bytes by formula over device time: a lower bound on traffic",
)


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
        self._states = {_ANALYTIC.meter: _ANALYTIC}
        for channel in CHANNELS:
            self._try(channel)
        if THROTTLE_BITS.meter not in self._channels:
            self._try(THROTTLE_BITS)
        self._gpm = Gpm(nvml, handle)
        self._course = GpmCourse(self._gpm)
        uuid, _ = self._ask(lambda: nvml.nvmlDeviceGetUUID(handle))
        self._dcgm = DcgmMeter(uuid, dcgm_url(), clock_s=time.perf_counter)
        self._dram = DramCounters(self._gpm, self._dcgm)
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
            self._course.close()
            self._channels.clear()
            self._ask(self._nvml.nvmlShutdown)

    def instruments(self) -> list[Instrument]:
        """The state of every tier and instrument of this GPU."""
        nvml = Instrument(meter="nvml", state=State.OK)
        return [nvml, self._gpm.state, self._dcgm.state, *self._states.values()]

    def sample(self, t_s: float) -> list[Gauge]:
        """One reading of each instrument that works."""
        if not self._open:
            return []
        own = [
            Gauge(t_s=t_s, meter=meter, name=name, value=float(value), unit=unit)
            for meter in list(self._channels)
            for name, value, unit in self._read(meter)
        ]
        return own + self._course.sample(t_s, time.perf_counter()) + self._dcgm.sample(t_s)

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

        Let the device finish its work before both ends (`torch.cuda.synchronize()`), and go on
        until `span.enough()`: below 0.5 s there is no bandwidth. DCGM needs samples to be taken
        meanwhile. Spans may nest.
        """
        before = self._counters()
        begun = self._dram.begin(time.perf_counter())
        span = Span(enough=lambda: self._dram.enough(begun, time.perf_counter()))
        try:
            yield span
        finally:
            span.reading = self._reading(before, begun, time.perf_counter())

    def _reading(self, before: Mapping[str, float], begun: Begun, now_s: float) -> SpanReading:
        traffic, after, seconds = self._dram.end(begun, now_s), self._counters(), now_s - begun.at_s
        share, peak = traffic.share, self._peak_bytes_per_s
        counted = seconds >= MIN_ENERGY_SPAN_S and "energy" in before and "energy" in after
        busy = dict(self._busy() if seconds >= MIN_BUSY_SPAN_S else ())
        return SpanReading(
            seconds=seconds,
            bandwidth_share=share,
            bandwidth_tier=traffic.tier,
            dram_bytes=None if share is None or peak is None else share * peak * seconds,
            sm_share=traffic.sm_share,
            tensor_share=traffic.tensor_share,
            energy_j=after["energy"] - before["energy"] if counted else None,
            throttled_share=throttled_shares(before, after, seconds) or None,
            memory_accessed_share=busy.get("memory_accessed_share"),
            kernel_running_share=busy.get("kernel_running_share"),
            why=traffic.why,
        )

    def _busy(self) -> list[tuple[str, float]]:
        return [(name, value) for name, value, _ in self._read("nvml.memory-accessed")]

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

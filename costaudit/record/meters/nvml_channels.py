"""The plain readings of NVML: one function per instrument, values with their units.

Each takes the pynvml module and a device handle, raises NVMLError when the device has not got it,
and returns cumulative counters as they are, so that any two readings give a mean between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Readings = tuple[tuple[str, float, str], ...]

# Nanoseconds since the driver loaded; nvml.h: NVML_FI_DEV_CLOCKS_EVENT_REASON_*
_THROTTLE_FIELDS = {
    "sw_power_cap": 74,
    "sync_boost": 76,
    "sw_thermal": 269,
    "hw_thermal": 270,
    "hw_power_brake": 271,
}
# Member of the value union by nvmlValueType_t (nvml.h)
_UNION = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One instrument: its name in the recording, its tier, what it really is, how it is read."""

    meter: str
    tier: str
    meaning: str
    read: Callable[[Any, Any], Readings]


def memory(nvml: Any, handle: Any) -> Readings:
    """Device memory in use, by all processes and the driver, and in total."""
    info = nvml.nvmlDeviceGetMemoryInfo(handle)
    return (("memory_used", info.used, "B"), ("memory_total", info.total, "B"))


def busy(nvml: Any, handle: Any) -> Readings:
    """Utilisation rates: shares of time with a kernel running, or with memory accessed at all."""
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return (
        ("kernel_running_share", rates.gpu / 100.0, "share"),
        ("memory_accessed_share", rates.memory / 100.0, "share"),
    )


def clocks(nvml: Any, handle: Any) -> Readings:
    """Clocks of the SMs and of the memory."""
    sm = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
    mem = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)
    return (("sm_clock", sm * 1e6, "Hz"), ("memory_clock", mem * 1e6, "Hz"))


def energy(nvml: Any, handle: Any) -> Readings:
    """Energy since the driver loaded; NVML counts millijoules (Volta and newer)."""
    return (("energy", nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, "J"),)


def throttle_counters(nvml: Any, handle: Any) -> Readings:
    """Seconds spent throttled since the driver loaded, by reason, as far as the device counts.

    Raises:
        NVMLError: it counts none of them.
    """
    fields = nvml.nvmlDeviceGetFieldValues(handle, list(_THROTTLE_FIELDS.values()))
    found = tuple(
        (f"throttled_{reason}", getattr(field.value, _UNION[field.valueType]) / 1e9, "s")
        for reason, field in zip(_THROTTLE_FIELDS, fields, strict=True)
        if field.nvmlReturn == nvml.NVML_SUCCESS and field.valueType < len(_UNION)
    )
    if not found:
        raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
    return found


def throttle_bits(nvml: Any, handle: Any) -> Readings:
    """The reasons of this instant as NVML's bit mask; between samples they are unknown."""
    mask = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    return (("throttle_reasons", float(mask), "bits"),)


CHANNELS = (
    Channel(meter="nvml.memory", tier="", meaning="", read=memory),
    Channel(meter="nvml.clocks", tier="", meaning="", read=clocks),
    Channel(
        meter="nvml.energy",
        tier="T3",
        meaning="energy counter: a proxy for work, no bandwidth; use it over 1 s or more",
        read=energy,
    ),
    Channel(
        meter="nvml.memory-accessed",
        tier="T4",
        meaning="share of time the memory was read or written at all; this is not bandwidth",
        read=busy,
    ),
    Channel(
        meter="nvml.throttle",
        tier="counters",
        meaning="counted nanoseconds by reason",
        read=throttle_counters,
    ),
)
THROTTLE_BITS = Channel(
    meter="nvml.throttle",
    tier="bits",
    meaning="no counters here: only the reasons at the instant of a sample",
    read=throttle_bits,
)


def throttled_shares(
    before: Mapping[str, float], after: Mapping[str, float], seconds: float
) -> dict[str, float]:
    """Share of a span throttled, by reason, from two readings of the counters."""
    prefix = "throttled_"
    return {
        name.removeprefix(prefix): min(1.0, max(0.0, after[name] - before[name]) / seconds)
        for name in before
        if name.startswith(prefix) and name in after
    }

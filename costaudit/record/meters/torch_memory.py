"""torch's caching allocator on a CUDA device: what tensors hold, what torch keeps from others.

Names after torch.cuda.memory_stats: allocated is in tensors, reserved is taken from the driver,
inactive split blocks are the pieces between them that cannot be given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.recording.rows import Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Mapping

METER = "torch.memory"


def open_torch_memory(device: str) -> TorchMemoryMeter | Instrument:
    """The allocator's meter for "cuda" or "cuda:N"; or the state that tells why there is none."""
    if not device.startswith("cuda"):
        why = "torch's CPU allocator keeps no statistics; the process's own memory is in host"
        return Instrument(meter=METER, state=State.ABSENT, why=why)
    try:
        import torch
    except ImportError:
        return Instrument(meter=METER, state=State.ABSENT, why="torch is not installed")
    if not torch.cuda.is_available():
        return Instrument(meter=METER, state=State.ABSENT, why="torch sees no CUDA device")
    return TorchMemoryMeter(torch, device)


class TorchMemoryMeter:
    """Samples the allocator of one CUDA device; starts a fresh peak when opened."""

    def __init__(self, torch: Any, device: str) -> None:
        self._torch = torch
        self._device = device
        self._state = Instrument(meter=METER, state=State.OK)
        torch.cuda.reset_peak_memory_stats(device)

    def sample(self, t_s: float) -> list[Gauge]:
        """Bytes allocated, reserved and at the peak; the fragmented share of what is reserved."""
        if self._state.state is not State.OK:
            return []
        try:
            stats = self._torch.cuda.memory_stats(self._device)
        except RuntimeError as err:  # torch raises this when the device or its context is gone
            self._state = Instrument(meter=METER, state=State.LOST, why=f"torch: {err}")
            return []
        return gauges(stats, t_s)

    def instruments(self) -> list[Instrument]:
        """The state of this meter."""
        return [self._state]

    def close(self) -> None:
        """Nothing is held open."""


def gauges(stats: Mapping[str, int], t_s: float) -> list[Gauge]:
    """Readings from `torch.cuda.memory_stats`; fragmentation only when something is reserved."""
    reserved = stats.get("reserved_bytes.all.current", 0)
    values: list[tuple[str, float, str]] = [
        ("allocated", stats.get("allocated_bytes.all.current", 0), "B"),
        ("allocated_peak", stats.get("allocated_bytes.all.peak", 0), "B"),
        ("reserved", reserved, "B"),
        ("reserved_peak", stats.get("reserved_bytes.all.peak", 0), "B"),
    ]
    if reserved:
        split = stats.get("inactive_split_bytes.all.current", 0)
        values.append(("fragmented_share", split / reserved, "share"))
    return [
        Gauge(t_s=t_s, meter=METER, name=name, value=float(value), unit=unit)
        for name, value, unit in values
    ]

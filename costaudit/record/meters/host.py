"""The host: how busy its CPUs are and with whom, and how much memory is really there.

Noise from neighbours is what ruins a measurement on a CPU, so the meter tells this process's share
from the others' and from what the hypervisor took (steal). Shares are of all CPUs this process may
run on, since the sample before.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costaudit.record.meters.cgroup import MemoryGroup, cpu_limit_cores, memory_group, used_bytes
from costaudit.recording.rows import Fact, Gauge, Instrument, State

METER = "host"
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """Bytes that this process can hope for: the host's, or its container's when that is less."""

    total_bytes: int
    available_bytes: int
    limited_by: str  # "host" or "cgroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class _CpuSeconds:
    wall: float
    own: float
    busy: float  # of all processes, on the CPUs we may use
    steal: float


def host_memory() -> HostMemory:
    """Total and available memory, control groups respected."""
    import psutil

    seen = psutil.virtual_memory()
    return _within(memory_group(seen.total), seen)


def _within(group: MemoryGroup | None, seen: Any) -> HostMemory:
    if group is None:
        return HostMemory(total_bytes=seen.total, available_bytes=seen.available, limited_by="host")
    free = max(0, group.limit_bytes - used_bytes(group))
    return HostMemory(
        total_bytes=group.limit_bytes,
        available_bytes=min(free, seen.available),
        limited_by="cgroup",
    )


def usable_cores() -> float:
    """Cores this process may use: affinity, cut by a CPU quota if one is set."""
    cores = float(len(_cpus()))
    quota = cpu_limit_cores()
    return cores if quota is None else min(cores, quota)


def cpu_model(cpuinfo: Path = _CPUINFO) -> str | None:
    """The CPU's name as the kernel gives it; None where it gives none."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model") and value.strip():
            return value.strip()
    return None


def host_facts() -> list[Fact]:
    """CPU model, cores and memory, subject "host"."""
    memory = host_memory()
    model = cpu_model()
    return [
        Fact(
            subject="host",
            name="cpu_model",
            value=model,
            origin="observed" if model else "unknown",
            why="" if model else "/proc/cpuinfo does not name the CPU",
        ),
        Fact(subject="host", name="cores", value=usable_cores(), unit="cores"),
        Fact(subject="host", name="memory_total", value=memory.total_bytes, unit="B"),
        Fact(subject="host", name="memory_available", value=memory.available_bytes, unit="B"),
        Fact(subject="host", name="memory_limited_by", value=memory.limited_by),
    ]


class HostMeter:
    """Samples CPU shares and memory; needs no rights and no driver."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        self._cpus = _cpus()
        self._group = memory_group(psutil.virtual_memory().total)
        self._state = Instrument(meter=METER, state=State.OK)
        self._last = self._seconds()

    def sample(self, t_s: float) -> list[Gauge]:
        """CPU shares since the last sample, memory now."""
        if self._state.state is not State.OK:
            return []
        try:
            now = self._seconds()
            rss = self._process.memory_info().rss
            memory = _within(self._group, self._psutil.virtual_memory())
        except (OSError, self._psutil.Error) as err:
            self._state = Instrument(meter=METER, state=State.LOST, why=f"host counters: {err}")
            return []
        readings = [
            ("rss", rss, "B"),
            ("memory_available", memory.available_bytes, "B"),
            *_shares(self._last, now, len(self._cpus)),
        ]
        self._last = now
        return [
            Gauge(t_s=t_s, meter=METER, name=name, value=float(value), unit=unit)
            for name, value, unit in readings
        ]

    def instruments(self) -> list[Instrument]:
        """The state of this meter."""
        return [self._state]

    def close(self) -> None:
        """Nothing is held open."""

    def _seconds(self) -> _CpuSeconds:
        per_cpu = self._psutil.cpu_times(percpu=True)
        ours: list[Any] = [per_cpu[n] for n in self._cpus if n < len(per_cpu)] or per_cpu
        steal = sum(getattr(cpu, "steal", 0.0) for cpu in ours)
        # guest time is counted inside user time already
        names = ("user", "nice", "system", "irq", "softirq")
        busy = sum(getattr(cpu, name, 0.0) for cpu in ours for name in names)
        return _CpuSeconds(wall=time.monotonic(), own=time.process_time(), busy=busy, steal=steal)


def _cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _shares(last: _CpuSeconds, now: _CpuSeconds, cpus: int) -> list[tuple[str, float, str]]:
    """Own, others' and stolen share of the CPU time that passed; none when no time passed.

    The kernel counts in ticks of 10 ms, so a share over 0.25 s is good to about 0.04 per CPU.
    """
    passed = (now.wall - last.wall) * cpus
    if passed <= 0:
        return []
    own = now.own - last.own
    others = max(0.0, now.busy - last.busy - own)
    named = {"own_cpu": own, "others_cpu": others, "steal_cpu": now.steal - last.steal}
    return [(f"{name}_share", min(1.0, max(0.0, s / passed)), "share") for name, s in named.items()]

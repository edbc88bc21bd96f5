"""What is known of the target, the device and the software before anything is timed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from costaudit.record.meters.host import cpu_model, host_facts
from costaudit.record.peaks import datasheet_facts
from costaudit.record.run import device_of
from costaudit.recording.rows import Fact, Instrument, State
from costaudit.recording.target_facts import target_facts
from costaudit.target.target import Origin

if TYPE_CHECKING:
    from costaudit.record.engines.engine import LocalEngine
    from costaudit.target.target import Target

_PACKAGES = ("costaudit", "torch", "transformers", "numpy", "nvidia-ml-py", "nvtx")


def about_target(target: Target, *, batch_size: int, given: bool) -> tuple[Fact, ...]:
    """The target with its whole shape and its knobs; subjects "target", "model", "knob"."""
    why = "" if given else "the workload's concurrency"
    batch = Fact(
        subject="knob",
        name="max_num_seqs",
        value=batch_size,
        origin=str(Origin.GIVEN if given else Origin.DEFAULT),
        why=why,
    )
    return (*target_facts(target), batch)


def about_device(engine: LocalEngine) -> tuple[Fact, ...]:
    """Name, kind, count and memory of the device that computes, with its datasheet rates."""
    _, memory_bytes = engine.memory_bytes()
    kind, dtype = engine.device_kind, engine.target.dtype
    name = device_name(device_of(engine))
    return (
        _device("name", name, why="" if name else "the system does not name its CPU"),
        _device("kind", kind),
        _device("count", 1),
        _device("memory_bytes", memory_bytes, "B"),
        *datasheet_facts(name or "", kind=kind, dtype=dtype),
    )


def device_name(device: str) -> str | None:
    """The name of the CPU, or of a torch device such as "cuda:0"; None where there is none."""
    if device == "cpu":
        return cpu_model() or platform.processor() or None
    import torch

    return str(torch.cuda.get_device_name(device))


def about_software() -> tuple[Fact, ...]:
    """Versions of Python and of the packages that time depends on, and the host's hardware."""
    facts = [Fact(subject="versions", name="python", value=platform.python_version())]
    for package in _PACKAGES:
        try:
            facts.append(Fact(subject="versions", name=package, value=version(package)))
        except PackageNotFoundError:
            why = "no installed distribution of that name"
            facts.append(Fact(subject="versions", name=package, value=None, why=why))
    system = Fact(subject="host", name="system", value=f"{platform.system()} {platform.release()}")
    return (*facts, system, *host_facts())


def about_meters(meters: Any, ranges: Any) -> tuple[Instrument | Fact, ...]:
    """The state of every instrument, and what the GPU's driver says of the device."""
    rows: list[Instrument | Fact] = [ranges.state]
    for meter in meters:
        if isinstance(meter, Instrument):
            rows.append(meter)
            continue
        rows += meter.instruments()
        if hasattr(meter, "facts"):
            rows += meter.facts()
    if not any(isinstance(row, Instrument) and row.meter == "analytic" for row in rows):
        why = "bytes by formula over device time: a lower bound on traffic"
        rows.append(Instrument(meter="analytic", state=State.OK, tier="T2", why=why))
    return tuple(rows)


def _device(name: str, value: object, unit: str = "", *, why: str = "") -> Fact:
    origin = Origin.UNKNOWN if value is None else Origin.OBSERVED
    return Fact(subject="device", name=name, value=value, unit=unit, origin=str(origin), why=why)

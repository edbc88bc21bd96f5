"""Which GPUs and MIG devices this machine has, and which processes are on them.

A GPU that is cut into MIG devices stands for none itself: its processes are on the parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device by its UUID; `pids` as far as NVML tells them (those of this PID namespace)."""

    uuid: str
    pids: frozenset[int]


def devices() -> tuple[Device, ...]:
    """All devices, in NVML's order; empty where no driver answers."""
    try:
        import pynvml
    except ImportError:
        return ()
    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        return tuple(_device(nvml, handle) for handle in _handles(nvml))
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()


def _handles(nvml: Any) -> Iterator[Any]:
    for index in range(nvml.nvmlDeviceGetCount()):
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)
        parts = _parts(nvml, gpu)
        yield from parts or (gpu,)


def _parts(nvml: Any, gpu: Any) -> list[Any]:
    """The MIG devices of a GPU; places of its layout may be empty."""
    found = []
    try:
        if nvml.nvmlDeviceGetMigMode(gpu)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
            try:
                found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index))
            except nvml.NVMLError_NotFound:
                continue
    except nvml.NVMLError:  # a GPU without MIG, or a driver from before it
        return []
    return found


def _device(nvml: Any, handle: Any) -> Device:
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        running = []
    uuid = nvml.nvmlDeviceGetUUID(handle)
    return Device(uuid=uuid, pids=frozenset(process.pid for process in running))

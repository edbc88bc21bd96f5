"""The GPU beside a server on this very machine, by NVML: busy, memory, power.

Which device a server runs on is not told from outside, so it is read only where there is one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from costaudit.facts.quantities import Quantity
from costaudit.record.meters.nvml import NvmlMeter, open_nvml
from costaudit.record.servers.naming import is_here

if TYPE_CHECKING:
    from collections.abc import Mapping

START = "gpu."


def local_device(base_url: str) -> NvmlMeter | None:
    """The open meter of this machine's only GPU; None: another machine, no GPU, or several."""
    if not is_here(base_url):
        return None
    second = open_nvml(1)
    if isinstance(second, NvmlMeter):
        second.close()
        return None
    first = open_nvml(0)
    return first if isinstance(first, NvmlMeter) else None


def readings(device: NvmlMeter | None) -> Mapping[str, Quantity]:
    """The device now, each reading a level under `gpu.`; empty without one."""
    if device is None:
        return {}
    return {
        START + gauge.name: Quantity(value=gauge.value, unit=gauge.unit, native="NVML")
        for gauge in device.sample(time.monotonic())
        if gauge.unit in {"share", "B", "W"}
    }

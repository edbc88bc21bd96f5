"""The GPUs beside a server on this very machine, by NVML: busy, memory in use.

Which devices a server runs on is not told from outside: they are those that its processes are on,
or the only one there is.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from costaudit.facts.quantities import Quantity
from costaudit.record.meters.nvml import NvmlMeter, open_nvml
from costaudit.record.meters.nvml_devices import devices
from costaudit.record.servers.command_line import processes_of
from costaudit.record.servers.naming import is_here

if TYPE_CHECKING:
    from collections.abc import Mapping

START = "gpu."
_UNITS = {"share", "B"}
_AMBIGUOUS = (
    "{count} GPUs or MIG devices are on this machine, and none says that this server is on it: "
    "none is read"
)


def local_devices(base_url: str) -> tuple[Mapping[str, NvmlMeter], str]:
    """Open meters of the server's devices by their UUIDs; where there are none, why ("": no GPU).

    Those that its processes are on; else the only device of this machine.
    """
    here = devices() if is_here(base_url) else ()
    if not here:
        return {}, ""
    own = processes_of(base_url)
    chosen = [device.uuid for device in here if device.pids & own]
    if not chosen:
        if len(here) > 1:
            return {}, _AMBIGUOUS.format(count=len(here))
        chosen = [here[0].uuid]
    opened = {uuid: open_nvml(uuid) for uuid in chosen}
    return {uuid: meter for uuid, meter in opened.items() if isinstance(meter, NvmlMeter)}, ""


def readings(meters: Mapping[str, NvmlMeter]) -> Mapping[str, Quantity]:
    """The devices now, each reading a level under `gpu.`; empty without one.

    Of several devices shares are means, bytes sums; each stands by `@UUID` too.
    """
    found: dict[str, Quantity] = {}
    every: dict[tuple[str, str], list[float]] = defaultdict(list)
    for uuid, meter in meters.items():
        for gauge in meter.sample(time.monotonic()):
            if gauge.unit in _UNITS:
                name = START + gauge.name
                every[name, gauge.unit].append(gauge.value)
                found[f"{name}@{uuid}"] = _level(gauge.value, gauge.unit)
    for (name, unit), values in every.items():
        whole = math.fsum(values)
        found[name] = _level(whole / len(values) if unit == "share" else whole, unit)
    return found


def _level(value: float, unit: str) -> Quantity:
    return Quantity(value=value, unit=unit, native="NVML")

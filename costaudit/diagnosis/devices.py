"""Which GPUs are a replica's: by pod where DCGM knows pods, else by host."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.history.past import Gpu, Past, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """How many devices a replica has, and how that is known.

    `count` may be a part of one: several models of one server, or several servers on the GPUs of
    one host, share alike.
    """

    count: float
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The devices of a place, with DCGM's view of them; no GPUs where none joins."""

    devices: Devices
    gpus: tuple[Gpu, ...] = ()


def devices_beside(past: Past, given: int | None) -> Mapping[Place, Beside]:
    """The devices of each place: given by the user, else counted by DCGM, else one."""
    models = Counter(one.place for one in past.replicas)
    hosts = Counter(one.place.host for one in past.replicas)
    pods = {(place.namespace, place.pod) for place in models}
    by_pod: dict[tuple[str, str], list[Gpu]] = defaultdict(list)
    by_host: dict[str, list[Gpu]] = defaultdict(list)
    for gpu in past.gpus:
        if gpu.pod and (gpu.namespace, gpu.pod) in pods:
            by_pod[gpu.namespace, gpu.pod].append(gpu)
        else:
            by_host[gpu.host].append(gpu)
    found = {}
    for place in models:
        own, shared = by_pod.get((place.namespace, place.pod), []), by_host.get(place.host, [])
        if given is not None:
            devices = Devices(count=given, origin="given by --gpus")
        elif own:
            devices = Devices(count=len(own) / models[place], origin="DCGM's in its pod")
        elif shared:
            count = len(shared) / hosts[place.host]
            devices = Devices(count=count, origin="DCGM's on its host, shared alike")
        else:
            devices = Devices(count=1, origin="assumed: no GPU series joins; say it by --gpus")
        found[place] = Beside(devices=devices, gpus=tuple(own or shared))
    return found

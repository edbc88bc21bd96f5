"""What a Prometheus tells of a fleet's past: aggregates by replica, and of the GPUs beside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.facts.quantities import Quantity
    from costaudit.record.history.asks import Stat


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a replica is, by the labels of its series; "" where there is no such label."""

    cluster: str = ""
    namespace: str = ""
    job: str = ""
    instance: str = ""
    pod: str = ""
    node: str = ""

    @property
    def name(self) -> str:
        """What people call it: the pod, else the scraped address."""
        return self.pod or self.instance or self.job or "unnamed"

    @property
    def host(self) -> str:
        """The node, else the host of the scraped address."""
        return self.node or self.instance.rpartition(":")[0] or self.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One server (or one model of a server) over the window.

    Attributes:
        engine: family name; servers: whose rows of the metric map its names are.
        present_s: seconds of the window in which it was scraped.
        grown: totals' growth, by canonical name (`NAME.sum`, `.count`, `.le.EDGE`, `NAME.label`).
        levels: gauges by statistic, then by canonical name.
        while_waiting: the same at the times when requests waited.
        samples: evaluations behind the shares and levels.
        config: labels of its info metric, as the server wrote them.
        restarts: how often its counters began anew.
    """

    place: Place
    model: str
    engine: str
    servers: tuple[str, ...]
    present_s: float
    grown: Mapping[str, Quantity] = field(default_factory=dict)
    levels: Mapping[Stat, Mapping[str, Quantity]] = field(default_factory=dict)
    while_waiting: Mapping[Stat, Mapping[str, Quantity]] = field(default_factory=dict)
    samples: int = 0
    config: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU (or a MIG slice of one) as DCGM saw it; means over the window, None: not exported.

    Attributes:
        host, index, uuid, mig: which it is; name: the product's.
        namespace, pod: whose it is, where the exporter knows of pods.
        active_share: time with a kernel on it (GR_ENGINE_ACTIVE, else GPU_UTIL).
        tensor_share, dram_share: cycles with the tensor cores, the memory at work.
        present_s: seconds of the window in which it was seen.
    """

    host: str
    index: str
    uuid: str
    mig: str = ""
    name: str = ""
    namespace: str = ""
    pod: str = ""
    active_share: float | None = None
    tensor_share: float | None = None
    dram_share: float | None = None
    power_w: float | None = None
    present_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A window of a fleet's past. `asked` is how many questions it took."""

    seconds: int
    at_s: float
    replicas: tuple[Replica, ...]
    gpus: tuple[Gpu, ...] = ()
    asked: int = 0
    notes: tuple[str, ...] = ()

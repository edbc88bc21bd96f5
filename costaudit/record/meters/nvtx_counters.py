"""Gauges of a run as counter tracks of a listening tool: NVML on Nsight Systems' own timeline.

NVTX counters came with nvtx 0.2.16 (`Domain.get_counter`); an older package gets marks that bear
the value as their payload, which a tool shows as points. Names are fixed: NVTX keeps each for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.record.meters.nvtx_ranges import listening_domain
from costaudit.recording.rows import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

METER = "nvtx.counters"
_MOST_TRACKS = 256  # no more are made: a meter's names are few, and NVTX forgets none


class CounterTracks:
    """One track per gauge, made at its first value; nothing where no tool listens.

    `state` says whether one does. `show` is meant for one thread, the sampler's.
    """

    def __init__(self) -> None:
        self._domain, self.state = listening_domain(METER)
        self._tracks: dict[tuple[str, str], Callable[[float], None]] = {}

    def show(self, rows: Iterable[object]) -> None:
        """Hand the gauges among these rows on, stamped with the time of the call."""
        if self._domain is None:
            return
        for row in rows:
            if not isinstance(row, Gauge):
                continue
            key = row.meter, row.name
            if key not in self._tracks and len(self._tracks) < _MOST_TRACKS:
                self._tracks[key] = _track(self._domain, f"{row.meter} {row.name}", row.unit)
            if key in self._tracks:
                self._tracks[key](row.value)


def _track(domain: Any, name: str, unit: str) -> Callable[[float], None]:
    if hasattr(domain, "get_counter"):
        import nvtx

        semantics = nvtx.CounterSemantics(unit=unit or None)
        sample: Callable[[float], None] = domain.get_counter(
            name, float, semantics=semantics
        ).sample
        return sample
    attributes = domain.get_event_attributes(message=name, payload=0.0)

    def mark(value: float) -> None:
        attributes.payload = value
        domain.mark(attributes)

    return mark

"""What others did on the cores of a server on this machine, and how far that may have slowed it.

A core that others use is one that server and client did not have. With all of it they could have
been faster by at most (ours + theirs) / ours. Nor can more time be won than that in which some task
waited for a core: a share w of it makes 1 / (1 - w) at most. Nor, where a server hardly uses its
cores, more than the time that others ran or the hypervisor took: an answer waits for them one after
the other, so a second of theirs is a second of its own at most.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Gauge

METER = "neighbours"
_FEWEST = 2  # readings within a span


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Means over a span, in cores.

    Attributes:
        server, own, others, idle: whose the cores were.
        steal: taken by the hypervisor for other machines.
        waiting_share: of the time, some task waited for a core; None: the kernel does not tell.
    """

    server: float
    own: float
    others: float
    steal: float
    idle: float
    waiting_share: float | None

    @property
    def cores(self) -> float:
        """Of the machine."""
        return self.server + self.own + self.others + self.steal + self.idle

    @property
    def taken_share(self) -> float:
        """How much faster server and client might have been alone, at most."""
        ours = self.server + self.own
        if ours <= 0:
            return 0.0
        busy = 1 - self.idle / self.cores
        waited = busy if self.waiting_share is None else self.waiting_share
        by_others = min(self.others / ours, _gain(waited))
        return min(by_others + self.steal / ours, _gain(min(self.others, waited) + self.steal))


def _gain(lost_share: float) -> float:
    """What is won, as a share of the speed, where this share of the time is lost no more."""
    return lost_share / max(1 - lost_share, 1e-3)


def neighbours(gauges: Sequence[Gauge], *, from_s: float, to_s: float) -> Neighbours | None:
    """Who used the cores in that span, by this meter's gauges; None where it was not read."""
    read: dict[str, list[float]] = {}
    times = [gauge.t_s for gauge in gauges]
    for gauge in gauges[bisect_right(times, from_s) : bisect_right(times, to_s)]:
        read.setdefault(gauge.name, []).append(gauge.value)
    if len(read.get("others", ())) < _FEWEST:
        return None
    means = {name: math.fsum(values) / len(values) for name, values in read.items()}
    return Neighbours(
        server=means["server"],
        own=means["own"],
        others=means["others"],
        steal=means["steal"],
        idle=means["idle"],
        waiting_share=means.get("waiting_share"),
    )


def replay_neighbours(recording: Recording) -> Neighbours | None:
    """Over the steady part of the replay; over all of it where that was too short to be read."""
    facts = recording.facts()
    about, steady = facts.get("rung", {}).get("replay"), facts.get("replay", {}).get("steady")
    if about is None or not isinstance(about.value, dict):
        return None
    began_s, wall_s = float(about.value["t_s"]), float(about.value["wall_s"])
    told = steady.value if steady is not None and isinstance(steady.value, dict) else {}
    whole, gauges = {"from_s": 0.0, "to_s": wall_s}, recording.gauges(METER)
    spans = (neighbours(gauges, from_s=began_s + s["from_s"], to_s=began_s + s["to_s"])
             for s in (whole | told, whole))  # fmt: skip
    return next((found for found in spans if found is not None), None)

"""What one recording says in a comparison: its counters, its seconds by unit, how it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOW = "window"  # the one unit of a recording that is not made of batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A piece of the workload that another recording can have run just so: a batch, or a window.

    `device_s` is paid for all of it; the phases are None where nobody could tell them apart.
    `pace_s` is how long the same small work took beside its least disturbed round
    (record/pace.py); None where that was not looked at.
    """

    requests: int
    tokens: int
    device_s: float
    prefill_s: float | None = None
    decode_s: float | None = None
    pace_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One recording, reduced to what comparisons need; it can be stored.

    Attributes:
        name: of the recording's file.
        created: day and time of the recording, as it says.
        clock: "thread_time", "cuda_event", or "wall" for a server.
        environment: what must agree for times to be comparable: device, driver, model, workload.
        software: what a change may well change, and a reader should know of: versions, knobs.
        counters: what does not depend on time, by metric.
        units: by a key that names the requests in them.
        latencies_s: percentiles of TTFT and ITL, by metric.
        within_share: standard error of the window's seconds over themselves, from within this run:
            its rounds, and how unsteady the machine's pace was.
        contention_share: wall time over the thread's own, less one; how far others disturbed it.
        sm_clock_hz: median clock of a GPU; None on a CPU or where nobody told.
        usd_per_device_h: the price known when this was reduced, with its date; None: unknown.
    """

    name: str
    created: str
    clock: str
    environment: Mapping[str, str]
    software: Mapping[str, str]
    counters: Mapping[str, float]
    units: Mapping[str, Unit]
    latencies_s: Mapping[str, float]
    within_share: float
    contention_share: float
    sm_clock_hz: float | None = None
    usd_per_device_h: float | None = None
    price_as_of: str = ""

    @property
    def tokens_per_request(self) -> float:
        """Prompt and output tokens of a mean request."""
        requests = sum(unit.requests for unit in self.units.values())
        return sum(unit.tokens for unit in self.units.values()) / requests

    @property
    def device_s_per_1m(self) -> float:
        """Paid device-seconds per million tokens, over all units."""
        tokens = sum(unit.tokens for unit in self.units.values())
        return sum(unit.device_s for unit in self.units.values()) * 1e6 / tokens

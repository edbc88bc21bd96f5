"""The need for replicas over time: what the demand asks of the capacity, window by window."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from costaudit.facts.own_prices import HOURS_PER_MONTH
from costaudit.ground.errors import InconclusiveError
from costaudit.pricing.capacity import SECONDS_PER_H, whole_servers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from costaudit.pricing.capacity import Capacity
    from costaudit.traffic.demand import Demand

BILLED_S = 3600.0  # a replica that was started is held, and paid, for an hour
COLD_START_S = 600.0  # machine, image, weights; what a replica may cost in time before it serves
MOST_REPLICAS = 100_000
DAY_S = 86_400
WEEK_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The need by window; windows without a record are left out, they are no demand of zero.

    One entry per window of `window_h` hours in each sequence.

    Attributes:
        fluid: x = w/u, replicas that the window's mean asks for; a fraction.
        peaks: the largest x of the billed hour that holds the window.
        windows: number of the window since the epoch, so that holes show.
        billed_hours: number of the hour that a started replica is paid for.
        days: number of the day since the first, for resampling whole days.
        weekdays: 0 is Monday; -1 where the log has no date.
        computed_tokens: prompt tokens that no cache answers; with `cached_tokens` all of them.
        least: replicas that are always kept.
        replicas_per_server: replicas that are rented together.
    """

    window_h: float
    fluid: tuple[float, ...]
    peaks: tuple[float, ...]
    windows: tuple[int, ...]
    billed_hours: tuple[int, ...]
    days: tuple[int, ...]
    weekdays: tuple[int, ...]
    computed_tokens: tuple[float, ...]
    cached_tokens: tuple[float, ...]
    output_tokens: tuple[float, ...]
    least: int = 0
    replicas_per_server: int = 1
    missing_share: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def replicas(self) -> tuple[int, ...]:
        """N: whole replicas in whole servers that the worst window of each billed hour asks for."""
        need = (max(self.least, math.ceil(peak - 1e-9)) for peak in self.peaks)
        return whole_servers(tuple(need), self.replicas_per_server)

    @property
    def hours(self) -> float:
        """Hours of all windows."""
        return self.window_h * len(self.fluid)

    @property
    def history_days(self) -> float:
        """Days that the windows cover, holes left out."""
        return self.hours / 24

    @property
    def per_month(self) -> float:
        """A month's hours over the hours here."""
        return HOURS_PER_MONTH / self.hours

    def scaled(self, volume: float = 1.0, efficiency: float = 1.0) -> Load:
        """The same with `volume` times the tokens, `efficiency` times the tokens per replica."""
        work, tokens = volume / efficiency, volume
        return replace(
            self,
            fluid=tuple(x * work for x in self.fluid),
            peaks=tuple(x * work for x in self.peaks),
            computed_tokens=tuple(n * tokens for n in self.computed_tokens),
            cached_tokens=tuple(n * tokens for n in self.cached_tokens),
            output_tokens=tuple(n * tokens for n in self.output_tokens),
        )

    def part(self, places: Sequence[int]) -> Load:
        """Only the windows at these places."""
        taken: dict[str, Any] = {
            name: tuple(getattr(self, name)[place] for place in places) for name in _SERIES
        }
        return replace(self, **taken)


_SERIES = (
    "fluid",
    "peaks",
    "windows",
    "billed_hours",
    "days",
    "weekdays",
    "computed_tokens",
    "cached_tokens",
    "output_tokens",
)


def load_of(
    demand: Demand,
    capacity: Capacity,
    *,
    cold_start_s: float = COLD_START_S,
    least: int = 0,
    replicas_per_server: int = 1,
) -> Load:
    """The replicas that a demand asks for.

    A replica helps only after its cold start, so within every billed hour the worst window rules;
    windows should be as long as the cold start (shorter ones ask for more than can be started,
    longer ones hide their peaks, and a note says so).

    Raises:
        InconclusiveError: no window of the demand has a known number of tokens, or it asks for
            more replicas than anybody runs.
    """
    known = _known(demand)
    window_s, share = demand.window_s, capacity.utilization_share
    fluid = [capacity.work(prompt, output) / share for _, prompt, output in known]
    _check_size(max(fluid), demand)
    starts = [demand.starts[place] for place, _, _ in known]
    hours = tuple(int(start.timestamp() // BILLED_S) for start in starts)
    cached = capacity.cached_share
    return Load(
        window_h=window_s / SECONDS_PER_H,
        fluid=tuple(fluid),
        peaks=_peaks(fluid, hours),
        windows=tuple(int(start.timestamp() // window_s) for start in starts),
        billed_hours=hours,
        **_calendar(demand, starts),
        computed_tokens=tuple((1 - cached) * prompt * window_s for _, prompt, _ in known),
        cached_tokens=tuple(cached * prompt * window_s for _, prompt, _ in known),
        output_tokens=tuple(output * window_s for _, _, output in known),
        least=least,
        replicas_per_server=replicas_per_server,
        missing_share=1 - len(known) / len(demand.starts),
        notes=_notes(demand, cold_start_s, len(known)),
    )


def _check_size(most: float, demand: Demand) -> None:
    """Refuse a need that no fleet has: then the log counts something else."""
    if not most <= MOST_REPLICAS:
        raise InconclusiveError(
            f"{demand.source} asks for {most:,.0f} replicas at once, which nobody runs",
            hint="are its token columns the right ones? --map FIELD=COLUMN names others",
        )


def _known(demand: Demand) -> list[tuple[int, float, float]]:
    """Place, prompt and output tokens per second of the windows that have both.

    Raises:
        InconclusiveError: no window has.
    """
    prompts = demand.rates_per_s(demand.prompt_tokens)
    outputs = demand.rates_per_s(demand.output_tokens)
    known = [
        (place, prompt, output)
        for place, (prompt, output) in enumerate(zip(prompts, outputs, strict=True))
        if prompt is not None and output is not None
    ]
    if not known:
        raise InconclusiveError(
            f"{demand.source} holds no window with a known number of prompt and output tokens",
            hint="map its columns, or give a log that counts tokens",
        )
    return known


def _peaks(fluid: Sequence[float], hours: Sequence[int]) -> tuple[float, ...]:
    worst: dict[int, float] = {}
    for x, hour in zip(fluid, hours, strict=True):
        worst[hour] = max(x, worst.get(hour, 0.0))
    return tuple(worst[hour] for hour in hours)


def _calendar(demand: Demand, starts: Sequence[datetime]) -> Mapping[str, tuple[int, ...]]:
    days = [int(start.timestamp() // DAY_S) for start in starts]
    weekdays = (-1 if demand.relative_time else start.weekday() for start in starts)
    return {"days": tuple(day - days[0] for day in days), "weekdays": tuple(weekdays)}


def _notes(demand: Demand, cold_start_s: float, known: int) -> tuple[str, ...]:
    said = list(demand.notes)
    if demand.window_s > cold_start_s:
        said.append(
            f"windows of {demand.window_s:g} s hide peaks shorter than that, "
            f"while a replica starts in {cold_start_s:g} s: the need is a lower bound"
        )
    if known < len(demand.starts):
        said.append(
            f"{len(demand.starts) - known} of {len(demand.starts)} windows have no record, or one "
            "of less than half their time, and are left out: that is no demand of zero"
        )
    return tuple(said)

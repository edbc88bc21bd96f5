"""What a mix of ways to pay costs over a load, and how much of it to commit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.pricing.reserve import fewest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from costaudit.pricing.load import Load
    from costaudit.pricing.way import Committed, Hourly, Mix, PerToken

    Floats = npt.NDArray[np.float64]

MOST_DECISIONS = 200  # within an hour; a fleet that swings by more decides on several units at once
_WHOLE = 1e-9  # a need this close to a whole number of replicas is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A load as columns; tokens are in those of each window.

    What replicas by the hour cost depends on N alone, so `windows` counts them by their N.
    """

    window_h: float
    windows: Floats  # how many need n replicas, by n
    fluid: Floats  # x
    peaks: Floats  # the largest x of the billed hour
    computed: Floats
    cached: Floats
    output: Floats
    opens: npt.NDArray[np.bool_]  # the first window of a billed hour
    least: int
    server: int  # replicas rented together
    asked: dict[PerToken, Floats] = field(default_factory=dict, repr=False, compare=False)

    @property
    def hours(self) -> float:
        """Hours of all windows."""
        return self.window_h * len(self.fluid)

    @property
    def most(self) -> int:
        """The largest N."""
        return len(self.windows) - 1

    def asks(self, way: PerToken) -> Floats:
        """By window v, the API's dollars for what one fully used replica serves an hour."""
        if way not in self.asked:
            self.asked[way] = _asks(self, way)
        return self.asked[way]

    def taken(self, places: npt.NDArray[np.int64], level: float = 1.0) -> Rows:
        """Windows at these places under `level` times the demand."""
        return replace(
            self,
            windows=counted(self.need(places, level)),
            fluid=self.fluid[places] * level,
            peaks=self.peaks[places] * level,
            computed=self.computed[places] * level,
            cached=self.cached[places] * level,
            output=self.output[places] * level,
            opens=self.opens[places],
            asked={way: usd[places] for way, usd in self.asked.items()},
        )

    def need(self, places: npt.NDArray[np.int64], level: float) -> Floats:
        """N of the windows at these places under `level` times the demand."""
        import numpy as np

        replicas = np.ceil(level * self.peaks[places] - _WHOLE)
        return np.ceil(np.maximum(replicas, self.least) / self.server) * self.server


def counted(replicas: Floats | npt.NDArray[np.int64]) -> Floats:
    """How many windows need n replicas, by n."""
    import numpy as np

    return np.bincount(replicas.astype(np.int64)).astype(float)


def rows_of(load: Load) -> Rows:
    """The columns of a load."""
    import numpy as np

    hours = np.asarray(load.billed_hours)
    return Rows(
        window_h=load.window_h,
        windows=counted(np.asarray(load.replicas)),
        fluid=np.asarray(load.fluid, dtype=float),
        peaks=np.asarray(load.peaks, dtype=float),
        computed=np.asarray(load.computed_tokens, dtype=float),
        cached=np.asarray(load.cached_tokens, dtype=float),
        output=np.asarray(load.output_tokens, dtype=float),
        opens=np.append(True, hours[1:] != hours[:-1])[: len(hours)],
        least=load.least,
        server=load.replicas_per_server,
    )


def mix_usd(rows: Rows, mix: Mix, units: int) -> float:
    """Dollars for all windows with `units` replicas committed."""
    committed = committed_usd(rows, mix.committed, units)
    if mix.overflow is None:
        return committed + hourly_usd(rows, mix.hourly, units)
    return committed + overflow_usd(rows, mix.hourly, mix.overflow, units)


def committed_usd(rows: Rows, committed: Committed | None, units: int) -> float:
    """Dollars of the commitment: every hour, used or not."""
    return committed.usd_per_replica_h * units * rows.hours if committed else 0.0


def hourly_usd(rows: Rows, hourly: tuple[Hourly, ...], units: int) -> float:
    """Dollars for the replicas beyond `units`, each way filled in its order."""
    import numpy as np

    replicas = np.arange(len(rows.windows), dtype=float)
    missing = np.maximum(replicas - units, 0.0)
    usd = np.zeros_like(missing)
    for way in hourly:
        filled = missing
        if way.fleet_share < 1:
            filled = np.minimum(missing, np.floor(way.fleet_share * replicas + _WHOLE))
        usd += filled * way.usd_per_replica_h
        missing = missing - filled
    return float(rows.windows @ usd) * rows.window_h


def overflow_usd(rows: Rows, hourly: tuple[Hourly, ...], overflow: PerToken, units: int) -> float:
    """Dollars where an API takes what the replicas do not.

    Beside an API a replica is rented for an hour if the part of the load it would carry costs
    more there: f·v > o, with f its use and v what the API asks for a fully used replica-hour.
    Units are used less and less the higher they stand, so each may be decided by itself.
    """
    import numpy as np

    per_window = rows.asks(overflow) * rows.window_h
    missing = np.maximum(rows.fluid - units, 0.0)
    if not hourly:
        return float((missing * per_window).sum())
    first = np.flatnonzero(rows.opens)
    windows = np.diff(np.append(first, len(missing)))
    rent = min(way.usd_per_replica_h for way in hourly) * windows * rows.window_h
    full = np.floor(np.minimum.reduceat(missing, first) + _WHOLE)  # used all through the hour
    usd = full * np.minimum(rent, np.add.reduceat(per_window, first))
    above = missing - np.repeat(full, windows)
    height = math.ceil(above.max(initial=0.0))
    together = max(1, math.ceil(height / MOST_DECISIONS))
    for unit in range(0, height, together):
        part = np.clip(above - unit, 0.0, together) * per_window
        usd += np.minimum(rent * together, np.add.reduceat(part, first))
    return float(usd.sum())


def _asks(rows: Rows, way: PerToken) -> Floats:
    import numpy as np

    usd = token_usd(rows, way)
    served = rows.fluid * rows.window_h
    return np.divide(usd, served, out=np.zeros_like(usd), where=served > 0)


def token_usd(rows: Rows, way: PerToken) -> Floats:
    """Dollars by window if every token went to the API."""
    million = 1e-6
    return million * (
        way.usd_per_1m_input * rows.computed
        + way.usd_per_1m_cached * rows.cached
        + way.usd_per_1m_output * rows.output
    )


def best_units(rows: Rows, mix: Mix, *, step: int = 1) -> int:
    """How many replicas to commit: the most that still pay, in multiples of `step`.

    The cost of R is convex in R (each further one replaces an hour that was at most as dear as
    the last one's), so the first that does not pay ends the search.
    """
    if mix.committed is None:
        return 0
    most = rows.most
    if mix.committed.units is not None:
        most = min(most, mix.committed.units)
    places = math.ceil(most / step)
    if mix.at_peak:
        return places * step
    return step * fewest(lambda k: mix_usd(rows, mix, k * step), places)

"""How sure a month's bill is: the history drawn again, at other levels and other prices.

Whole days are drawn, so that the shape of a day stays; by weekday where there are four weeks of
them. The level of each drawn month is lognormal around 1, with the spread of the history's own
months where there are three, else with a usual one, which is an assumption and reported as such.
The same draws judge every option, so that their difference is not noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.own_prices import HOURS_PER_MONTH
from costaudit.pricing.cover import mix_usd, rows_of
from costaudit.pricing.load import WEEK_DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from costaudit.pricing.load import Load
    from costaudit.pricing.way import Mix

DRAWS = 400
DAYS_PER_MONTH = 30
USUAL_SIGMA = 0.20  # of the log of a month's level, where the history does not show it
MOST_SIGMA = 1.0  # months that differ more are no months of one service
MIN_MONTHS = 3
MIN_WEEKS_BY_WEEKDAY = 4
TAIL_SHARE = 0.95
_FULL_DAY = 0.5  # of the fullest day's windows; a day with less would be a wrong day


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Prices that could be: factors on what is not fixed by contract; `weight` among the worlds."""

    id: str
    hourly: float = 1.0
    tokens: float = 1.0
    spot: float = 1.0
    weight: float = 1.0


AS_LISTED = World(id="as listed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """How to draw; `sigma` None: from the history, else USUAL_SIGMA."""

    count: int = DRAWS
    sigma: float | None = None
    worlds: tuple[World, ...] = (AS_LISTED,)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """A month's bill over the draws, in dollars.

    `cvar95_usd` is the mean of the worst twentieth; `over_budget_share` None: no budget was given.
    """

    mean_usd: float
    p50_usd: float
    p95_usd: float
    cvar95_usd: float
    spread_share: float  # standard deviation over the mean
    over_budget_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A mix with the replicas committed in it."""

    mix: Mix
    units: int


def tails(
    load: Load, plans: Sequence[Plan], draws: Draws, *, budget_usd: float | None = None
) -> tuple[Tail, ...]:
    """The month's bill of each plan over the draws."""
    import numpy as np

    random = np.random.default_rng(draws.seed)
    rows, days = rows_of(load), whole_days(load)
    moved = [[in_world(plan.mix, world) for plan in plans] for world in draws.worlds]
    for way in {mix.overflow for mixes in moved for mix in mixes if mix.overflow}:
        rows.asks(way)  # once for all draws: a level changes tokens and replicas alike
    classes = _classes(load, days)
    sigma = level_sigma(load) if draws.sigma is None else draws.sigma
    weights = np.array([world.weight for world in draws.worlds])
    bills = np.empty((len(plans), draws.count))
    for draw in range(draws.count):
        places = _month(classes, days, random)
        level = math.exp(sigma * random.standard_normal() - sigma**2 / 2)  # its mean is 1
        mixes = moved[random.choice(len(weights), p=weights / weights.sum())]
        taken = rows.taken(places, level)
        month = HOURS_PER_MONTH / taken.hours
        for place, plan in enumerate(plans):
            bills[place, draw] = month * mix_usd(taken, mixes[place], plan.units)
    return tuple(_tail(bill, budget_usd) for bill in bills)


def level_sigma(load: Load) -> float:
    """Spread of the log of a month's level: from the history's months, else USUAL_SIGMA."""
    months = _monthly(load)
    if len(months) < MIN_MONTHS:
        return USUAL_SIGMA
    logs = [math.log(total) for total in months if total > 0]
    if len(logs) < MIN_MONTHS:
        return USUAL_SIGMA
    mean = math.fsum(logs) / len(logs)
    return min(math.sqrt(math.fsum((x - mean) ** 2 for x in logs) / (len(logs) - 1)), MOST_SIGMA)


def knows_its_months(load: Load) -> bool:
    """Is the history long enough to show how one month differs from the next?"""
    return len(_monthly(load)) >= MIN_MONTHS


def whole_days(load: Load) -> tuple[npt.NDArray[np.int64], ...]:
    """Places of the windows of each day that was recorded for the most part."""
    import numpy as np

    days = np.asarray(load.days)
    groups = [np.flatnonzero(days == day) for day in np.unique(days)]
    fullest = max(len(group) for group in groups)
    return tuple(group for group in groups if len(group) >= _FULL_DAY * fullest)


def in_world(mix: Mix, world: World) -> Mix:
    """The mix at the prices of a world; what is committed keeps its own."""
    from dataclasses import replace

    if world.hourly == world.tokens == world.spot == 1.0:
        return mix
    hourly = (
        replace(
            way,
            usd_per_replica_h=way.usd_per_replica_h
            * (world.hourly if way.fleet_share >= 1 else world.spot),
        )
        for way in mix.hourly
    )
    overflow = mix.overflow and replace(
        mix.overflow,
        usd_per_1m_input=mix.overflow.usd_per_1m_input * world.tokens,
        usd_per_1m_cached=mix.overflow.usd_per_1m_cached * world.tokens,
        usd_per_1m_output=mix.overflow.usd_per_1m_output * world.tokens,
    )
    ordered = tuple(sorted(hourly, key=lambda way: way.usd_per_replica_h))
    return replace(mix, hourly=ordered, overflow=overflow)


def _month(
    classes: list[list[int]], days: tuple[npt.NDArray[np.int64], ...], random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Windows of a month of drawn days."""
    import numpy as np

    first = int(random.integers(len(classes)))
    drawn = []
    for day in range(DAYS_PER_MONTH):
        pool = classes[(first + day) % len(classes)]
        drawn.append(days[pool[int(random.integers(len(pool)))]])
    return np.concatenate(drawn)


def _classes(load: Load, days: tuple[npt.NDArray[np.int64], ...]) -> list[list[int]]:
    """Days by weekday where four weeks of them are known, else all in one class."""
    by_weekday: list[list[int]] = [[] for _ in range(WEEK_DAYS)]
    for place, day in enumerate(days):
        by_weekday[load.weekdays[int(day[0])]].append(place)
    known = load.weekdays[0] >= 0
    if known and min(len(group) for group in by_weekday) >= MIN_WEEKS_BY_WEEKDAY:
        return by_weekday
    return [list(range(len(days)))]


def _monthly(load: Load) -> list[float]:
    """Load of each whole run of thirty days."""
    runs: dict[int, float] = {}
    for day, x in zip(load.days, load.fluid, strict=True):
        runs[day // DAYS_PER_MONTH] = runs.get(day // DAYS_PER_MONTH, 0.0) + x
    whole = (load.days[-1] + 1) // DAYS_PER_MONTH
    return [total for run, total in runs.items() if run < whole]


def _tail(bills: npt.NDArray[np.float64], budget_usd: float | None) -> Tail:
    import numpy as np

    p50, p95 = (float(np.quantile(bills, share)) for share in (0.5, TAIL_SHARE))
    mean = float(bills.mean())
    over = None if budget_usd is None else float((bills > budget_usd).mean())
    return Tail(
        mean_usd=mean,
        p50_usd=p50,
        p95_usd=p95,
        cvar95_usd=cvar(bills.tolist(), TAIL_SHARE),
        spread_share=float(bills.std()) / mean if mean else 0.0,
        over_budget_share=over,
    )


def cvar(values: Sequence[float], share: float) -> float:
    """The mean of the worst 1 − share of the values, the last of them counted in part."""
    worst = sorted(values, reverse=True)
    wanted = (1 - share) * len(worst)
    whole = math.floor(wanted + 1e-9)
    rest = max(wanted - whole, 0.0) if whole < len(worst) else 0.0
    total = math.fsum(worst[:whole]) + (rest * worst[whole] if rest > 1e-9 else 0.0)  # noqa: PLR2004
    return total / wanted

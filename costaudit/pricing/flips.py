"""Where the answer flips: the use, the volume and the prices at which another way is cheapest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.facts.own_prices import HOURS_PER_MONTH
from costaudit.pricing.cover import best_units, mix_usd, rows_of, token_usd
from costaudit.pricing.reserve import break_even_share
from costaudit.pricing.risk import World, in_world
from costaudit.pricing.way import Committed, Hourly, PerToken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.pricing.cover import Rows
    from costaudit.pricing.load import Load
    from costaudit.pricing.way import Mix, Offers

WIDEST = 16.0  # a flip beyond this factor is no flip worth knowing
STEPS = 12  # of the search outwards, each way
PRECISION = 0.005
MOST_WINDOWS = 6000  # six weeks of ten minutes
FALLS_PER_YEAR = (0.0, 0.2, 0.3)  # AWS cut p5 (H100) by 44 % at once in June 2025


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """At `at` (a factor on today's figure, or a share) the cheapest way changes."""

    id: str
    what: str  # "utilization", "volume", "api_price", "hourly_price"
    at: float
    unit: str  # "share" or "factor"
    below: str  # ids of what is cheaper on either side
    above: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The share of hours from which a commitment pays, should hourly prices fall by so much."""

    id: str
    against: str
    fall_per_year_share: float
    share: float


def break_evens(offers: Offers) -> tuple[BreakEven, ...]:
    """r/o of each commitment against the hour, today and with falling prices."""
    hour = _hour(offers)
    if hour is None:
        return ()
    return tuple(
        BreakEven(
            id=way.id,
            against=hour.id,
            fall_per_year_share=fall,
            share=break_even_share(
                way.usd_per_replica_h,
                hour.usd_per_replica_h,
                fall_per_year=fall,
                years=way.term_h / (12 * HOURS_PER_MONTH),
            ),
        )
        for way in offers.ways
        if isinstance(way, Committed)
        for fall in FALLS_PER_YEAR
    )


def utilization_flips(offers: Offers, rows: Rows) -> tuple[Flip, ...]:
    """U* = a/v: the use of a replica below which an API serves its tokens for less than it costs.

    Above 1 the API is cheaper than the replica at any use.
    """
    used_h = float(rows.fluid.sum()) * rows.window_h
    hour = _hour(offers)
    rented: list[Committed | Hourly] = [w for w in offers.ways if isinstance(w, Committed)]
    rented += [hour] if hour else []
    apis = [w for w in offers.ways if isinstance(w, PerToken) and not w.patient]
    values = {api.id: float(token_usd(rows, api).sum()) / used_h for api in apis if used_h}  # v
    return tuple(
        Flip(
            id=f"utilization:{way.id}:{api}",
            what="utilization",
            at=way.usd_per_replica_h / value,
            unit="share",
            below=api,
            above=way.id,
        )
        for api, value in values.items()
        for way in rented
    )


def factor_flips(load: Load, mixes: Sequence[Mix]) -> tuple[Flip, ...]:
    """The nearest factors on volume, API prices and hourly prices at which the best mix changes.

    Many factors are tried, so of a long history evenly spaced days stand for all.
    """
    load = thinned(load)
    at_list = rows_of(load)

    def by_volume(factor: float) -> str:
        return cheapest(rows_of(load.scaled(volume=factor)), mixes)

    def by_world(**factors: float) -> str:
        world = World(id="", **factors)
        return cheapest(at_list, [in_world(mix, world) for mix in mixes])

    searched: dict[str, Callable[[float], str]] = {
        "volume": by_volume,
        "api_price": lambda factor: by_world(tokens=factor),
        "hourly_price": lambda factor: by_world(hourly=factor, spot=factor),
    }
    return tuple(
        flip
        for what, best in searched.items()
        for outwards in (WIDEST, 1 / WIDEST)
        if (flip := _nearest(what, best, outwards)) is not None
    )


def cheapest(rows: Rows, mixes: Sequence[Mix]) -> str:
    """The id of the mix that costs least with the best units in it; the first of equals."""
    costs = [mix_usd(rows, mix, best_units(rows, mix)) for mix in mixes]
    return mixes[costs.index(min(costs))].id


def thinned(load: Load) -> Load:
    """Every n-th day of the load, where it has more windows than MOST_WINDOWS."""
    every = math.ceil(len(load.fluid) / MOST_WINDOWS)
    return load.part([place for place, day in enumerate(load.days) if day % every == 0])


def _nearest(what: str, best: Callable[[float], str], outwards: float) -> Flip | None:
    """The first change on the way from 1 outwards, halved down to PRECISION."""
    here = best(1.0)
    near = 1.0
    for step in range(1, STEPS + 1):
        far = outwards ** (step / STEPS)
        if (other := best(far)) != here:
            return _between(what, best, (near, here), (far, other))
        near = far
    return None


def _between(
    what: str, best: Callable[[float], str], near: tuple[float, str], far: tuple[float, str]
) -> Flip:
    while abs(far[0] / near[0] - 1) > PRECISION:
        middle = (near[0] * far[0]) ** 0.5
        found = best(middle)
        if found == near[1]:
            near = (middle, found)
        else:
            far = (middle, found)
    low, high = sorted((near, far))
    return Flip(
        id=f"{what}:{'up' if far[0] > 1 else 'down'}",
        what=what,
        at=(near[0] * far[0]) ** 0.5,
        unit="factor",
        below=low[1],
        above=high[1],
    )


def _hour(offers: Offers) -> Hourly | None:
    return next((w for w in offers.ways if isinstance(w, Hourly) and w.fleet_share >= 1), None)

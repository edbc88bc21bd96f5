"""The plan kept as it is in another world, and what would be cheapest there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.pricing.cover import best_units, mix_usd, rows_of
from costaudit.pricing.risk import Plan, World, in_world, tails
from costaudit.pricing.stranded import USUAL_GAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costaudit.pricing.load import Load
    from costaudit.pricing.risk import Draws
    from costaudit.pricing.way import Mix

LESS_VOLUME = 0.7
# A year of prices that fall by 20 %, and spot as dear as GCP's A100 became in 17 months (to 2026).
WORLDS = (
    World(id="hourly-and-api-prices-x0.8", hourly=0.8, spot=0.8, tokens=0.8),
    World(id="spot-price-x1.4", spot=1.4),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A month of the plan, its units kept, in another world; and of the cheapest mix there.

    `p95_usd_per_month` is of the same draws as the plan's own tail, made in that world.
    """

    id: str
    usd_per_month: float
    p95_usd_per_month: float
    best: str
    best_usd_per_month: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elsewhere:
    """Another world: its name, its load, and how its prices change a mix."""

    id: str
    load: Load
    world: World


def what_ifs(load: Load, plan: Plan, mixes: Sequence[Mix], draws: Draws) -> tuple[WhatIf, ...]:
    """Less volume, more efficiency, lower prices, dearer spot."""
    return tuple(_what_if(plan, mixes, draws, there) for there in _worlds(load))


def _worlds(load: Load) -> Iterator[_Elsewhere]:
    same = World(id="")
    yield _Elsewhere(id="volume-x0.7", load=load.scaled(volume=LESS_VOLUME), world=same)
    more = load.scaled(efficiency=USUAL_GAIN.factor)
    yield _Elsewhere(id="efficiency-x1.6", load=more, world=same)
    for world in WORLDS:
        yield _Elsewhere(id=world.id, load=load, world=world)


def _what_if(plan: Plan, mixes: Sequence[Mix], draws: Draws, there: _Elsewhere) -> WhatIf:
    rows, per_month = rows_of(there.load), there.load.per_month
    costs = {}
    for mix in mixes:
        moved = in_world(mix, there.world)
        costs[mix.id] = mix_usd(rows, moved, best_units(rows, moved))
    least = min(costs, key=lambda name: costs[name])
    kept = in_world(plan.mix, there.world)
    (tail,) = tails(there.load, [Plan(mix=kept, units=plan.units)], draws)
    return WhatIf(
        id=there.id,
        usd_per_month=mix_usd(rows, kept, plan.units) * per_month,
        p95_usd_per_month=tail.p95_usd,
        best=least,
        best_usd_per_month=costs[least] * per_month,
    )

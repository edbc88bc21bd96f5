"""Which order is offered: the cheapest that keeps the latency, and what stands beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.plan.bounds import Bounds
from costaudit.plan.convention import CONVENTIONS, conventional
from costaudit.plan.front import pareto
from costaudit.plan.lattice import DIGITS, EXACT_UP_TO, Explored, explore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from costaudit.plan.pricer import Ids, Pricer
    from costaudit.playbook.step import Step

    Missed = Callable[[Ids], int | None]

FINALISTS = 6  # orders, the best over the sample, that are priced over the whole traffic

Order = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Orders of steps: the `best`, the best if nobody asked for latency, and the Pareto front.

    `unbound` is None where the bounds cost nothing.
    """

    best: Order
    unbound: Order | None
    front: tuple[Order, ...]


def choose(steps: Sequence[Step], pricer: Pricer, bounds: Bounds) -> Choice:
    """Search over the sample of the traffic, then settle it over the whole."""
    rough_bounds = Bounds(slo=bounds.slo, today=pricer.rough(frozenset()).latency_s)

    def cost(taken: Ids) -> float:
        return pricer.rough(taken).cost

    def missed(taken: Ids) -> int | None:
        return rough_bounds.missed(pricer.rough(taken))

    bound = explore(steps, cost, missed=missed)
    free = explore(steps, cost) if bound.refused else bound
    best = _settled(_candidates(steps, bound, pricer, missed), pricer, bounds)
    unbound = None
    if bound.refused:
        anything = Bounds(slo={}, today={})
        unbound = _settled(_candidates(steps, free, pricer, lambda _: 0), pricer, anything)
        if not _costs(unbound, pricer) < _costs(best, pricer):
            unbound = None
    return Choice(best=best, unbound=unbound, front=_front(bound, free, pricer))


def _costs(order: Order, pricer: Pricer) -> float:
    return pricer.cautious(frozenset(order)).cost


def _candidates(
    steps: Sequence[Step], explored: Explored, pricer: Pricer, missed: Missed
) -> list[Order]:
    """The best orders found; of the sets that a beam may miss, at least the conventional ones."""
    found = [*explored.orders[: FINALISTS if pricer.samples else 1], ()]
    if len(steps) > EXACT_UP_TO:
        for name in CONVENTIONS:
            named = priceable(conventional(name, steps, found[0]), pricer)
            among = [step for step in steps if step.id in named]
            found.append(explore(among, lambda t: pricer.rough(t).cost, missed=missed).best)
    return list(dict.fromkeys(found))


def _settled(orders: Iterable[Order], pricer: Pricer, bounds: Bounds) -> Order:
    """The best over the whole traffic of those that may be gone all the way."""

    def key(order: Order) -> tuple[float, float, int]:
        broken = [bounds.missed(pricer.cautious(frozenset(order[:n]))) for n in _places(order)]
        share = round(_costs(order, pricer) / _costs((), pricer), DIGITS)
        if None in broken or not math.isfinite(share):
            return math.inf, math.inf, 0
        return (broken[-1] if share < 1 else broken[0]) or 0, share, len(order)

    return min(orders, key=key)


def _places(order: Order) -> range:
    """Of today and each step of an order: how many steps were made."""
    return range(len(order) + 1)


def _front(bound: Explored, free: Explored, pricer: Pricer) -> tuple[Order, ...]:
    """Orders on the front, those that are offered before those to the same set that are not."""
    tried: dict[Ids, Order] = {}
    for order in (*bound.orders, *free.orders):
        tried.setdefault(frozenset(order), order)
    rough = {taken: pricer.rough(taken) for taken in tried}
    ahead = pareto({t: worth for t, worth in rough.items() if math.isfinite(worth.cost)})
    if pricer.samples:
        ahead = pareto({taken: pricer.cautious(taken) for taken in ahead})
    return tuple(tried[taken] for taken in ahead)


def priceable(ids: Order, pricer: Pricer) -> Order:
    """Without the steps after which nothing could run, those before them being made."""
    taken: Order = ()
    for step_id in ids:
        if math.isfinite(_costs((*taken, step_id), pricer)):
            taken += (step_id,)
    return taken

"""Shapley values of a small game, exact over all subsets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

from costaudit.ground.stats import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Player = TypeVar("Player")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one player adds: on average over all orders, and at the least and the most."""

    value: float
    band: Interval


def shapley(
    players: Sequence[Player], cost: Callable[[frozenset[Player]], float]
) -> Mapping[Player, Share]:
    """Each player's share of cost(all) - cost(nobody).

    The value is the mean of cost(S + i) - cost(S) over all orders in which i may join, that is
    over all S with weight |S|!·(n - |S| - 1)!/n! (Shapley 1953); the band is the least and the
    most of those differences. `cost` is asked once for each of the 2^n subsets.
    """
    known = {subset: cost(subset) for subset in _subsets(players)}
    return {player: _share(player, known, len(players)) for player in players}


def _subsets(players: Sequence[Player]) -> Iterator[frozenset[Player]]:
    for size in range(len(players) + 1):
        for members in combinations(players, size):
            yield frozenset(members)


def _share(player: Player, known: Mapping[frozenset[Player], float], count: int) -> Share:
    parts, marginals = [], []
    for subset, before in known.items():
        if player not in subset:
            marginal = known[subset | {player}] - before
            orders = math.factorial(len(subset)) * math.factorial(count - len(subset) - 1)
            parts.append(marginal * orders / math.factorial(count))
            marginals.append(marginal)
    return Share(value=math.fsum(parts), band=Interval(low=min(marginals), high=max(marginals)))

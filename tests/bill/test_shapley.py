"""Shapley values of games whose answer is known."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.bill.shapley import shapley

PLAYERS = ("a", "b", "c")
games = st.lists(st.floats(-100, 100), min_size=8, max_size=8)


def cost_of(values):
    def cost(subset):
        return values[sum(1 << PLAYERS.index(p) for p in subset)]

    return cost


@given(games)
def test_values_and_bands_are_those_over_all_orders(values):
    cost = cost_of(values)
    added = {player: [] for player in PLAYERS}
    for order in permutations(PLAYERS):
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            added[player].append(cost(before | {player}) - cost(before))
    for player, share in shapley(PLAYERS, cost).items():
        assert share.value == pytest.approx(sum(added[player]) / 6, abs=1e-9)
        assert share.band.low == pytest.approx(min(added[player]), abs=1e-9)
        assert share.band.high == pytest.approx(max(added[player]), abs=1e-9)


@given(games)
def test_values_sum_to_the_whole(values):
    cost = cost_of(values)
    total = sum(share.value for share in shapley(PLAYERS, cost).values())
    assert total == pytest.approx(cost(frozenset(PLAYERS)) - cost(frozenset()), abs=1e-9)


def test_each_subset_is_asked_once():
    asked = []

    def cost(subset):
        asked.append(subset)
        return float(len(subset))

    shares = shapley(PLAYERS, cost)
    assert len(asked) == len(set(asked)) == 8
    assert all(share.value == pytest.approx(1) for share in shares.values())
    assert shapley((), cost) == {}

"""The search of the order against trying everything, on made-up costs of any kind."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_made_up import make

from costaudit.plan.bounds import Bounds, Worth
from costaudit.plan.lattice import EFFORT_DAYS, EXACT_UP_TO, best_order
from costaudit.playbook.step import (
    Effort,
    Risk,
)


def allowed(order, steps):
    by_id = {s.id: s for s in steps}
    for n, step_id in enumerate(order):
        step, before = by_id[step_id], [by_id[i] for i in order[:n]]
        if any(need in by_id and need not in order[:n] for need in step.requires):
            return False
        if any(b.id in step.excludes or step.id in b.excludes for b in before):
            return False
        if any(b.last and not step.last for b in before):
            return False
    return True


def brute(steps, cost, missed=lambda _: 0):
    """All allowed orders of all sets: least cost in the end, then least paid on the way."""
    by_id = {s.id: s for s in steps}
    best = None
    for size in range(len(steps) + 1):
        for order in itertools.permutations(by_id, size):
            ways = [frozenset(order[:n]) for n in range(size + 1)]
            if not allowed(order, steps) or None in [missed(way) for way in ways[1:]]:
                continue
            paid = sum(
                cost(frozenset(order[:n])) * EFFORT_DAYS[by_id[i].effort]
                for n, i in enumerate(order)
            )
            saves = cost(ways[-1]) < cost(ways[0])
            broken = missed(ways[-1] if saves else ways[0]) or 0
            key = (broken, round(cost(ways[-1]), 9), size, round(paid, 9))
            if best is None or key < best[0]:
                best = (key, order)
    return best


@st.composite
def games(draw, least=1, most=5):
    """Steps with random constraints and any cost of any set, harm and interaction included."""
    ids = [f"s{n}" for n in range(draw(st.integers(least, most)))]
    steps = []
    for n, step_id in enumerate(ids):
        rival = ids[draw(st.integers(0, len(ids) - 1))]
        steps.append(
            make(
                step_id,
                effort=draw(st.sampled_from(list(Effort))),
                requires=(ids[n - 1],) if n and draw(st.integers(0, 4)) == 0 else (),
                excludes=(rival,) if rival != step_id and draw(st.integers(0, 5)) == 0 else (),
                last=draw(st.integers(0, 4)) == 0,
            )
        )
    costs = {
        frozenset(c): 1.0 if not c else draw(st.integers(10, 150)) / 100
        for size in range(len(ids) + 1)
        for c in itertools.combinations(ids, size)
    }
    return steps, costs


@settings(deadline=None, max_examples=80)
@given(games())
def test_the_search_finds_what_trying_everything_finds(game):
    steps, costs = game
    order = best_order(steps, costs.__getitem__)
    (_, cost, size, paid), _ = brute(steps, costs.__getitem__)
    by_id = {s.id: s for s in steps}
    assert allowed(order, steps)
    assert (round(costs[frozenset(order)], 9), len(order)) == (cost, size)
    on_the_way = sum(
        costs[frozenset(order[:n])] * EFFORT_DAYS[by_id[i].effort] for n, i in enumerate(order)
    )
    assert on_the_way == pytest.approx(paid)


@settings(deadline=None, max_examples=80)
@given(games(most=4), st.data(), st.sampled_from([0.8, 1.2]))
def test_under_bounds_the_search_finds_what_trying_everything_finds(game, data, today_s):
    """The cheapest end that keeps the bound, through sets that keep it or are no worse."""
    steps, costs = game
    latency = st.sampled_from([0.7, 0.9, 1.1, today_s, 1.3])
    seconds = {ids: data.draw(latency) if ids else today_s for ids in costs}
    bounds = Bounds(slo={"itl_s": 1.0}, today={"itl_s": today_s})

    def missed(ids):
        return bounds.missed(Worth(cost=costs[ids], latency_s={"itl_s": seconds[ids]}))

    order = best_order(steps, costs.__getitem__, missed=missed)
    key, _ = brute(steps, costs.__getitem__, missed)
    end = order if costs[frozenset(order)] < 1 else ()
    assert (missed(frozenset(end)), round(costs[frozenset(order)], 9), len(order)) == key[:3]
    for n in range(1, len(order) + 1):
        assert seconds[frozenset(order[:n])] <= max(1.0, today_s * 1.02)
    wide = best_order(steps, costs.__getitem__, missed=missed, width=64)
    assert wide == order


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.5, 1.1), min_size=4, max_size=EXACT_UP_TO), st.integers(0, 3))
def test_the_beam_finds_the_exact_set_where_steps_multiply(kept, late):
    steps = [make(f"s{n}", last=n < late) for n in range(len(kept))]
    shares = {s.id: k for s, k in zip(steps, kept, strict=True)}

    def cost(ids):
        return math.prod(shares[i] for i in sorted(ids))

    exact = best_order(steps, cost)
    beam = best_order(steps, cost, width=8)
    assert cost(beam) == pytest.approx(cost(exact))
    assert allowed(beam, steps)


@settings(deadline=None, max_examples=30)
@given(games(least=5, most=6))
def test_a_wide_beam_is_exact_and_a_narrow_one_never_claims_less(game):
    steps, costs = game
    exact = costs[frozenset(best_order(steps, costs.__getitem__))]
    assert costs[frozenset(best_order(steps, costs.__getitem__, width=64))] == exact
    narrow = best_order(steps, costs.__getitem__, width=2)
    assert costs[frozenset(narrow)] >= exact
    assert allowed(narrow, steps)


def test_what_pays_early_comes_first_and_effort_counts():
    """0.10 saved in half a day goes before 0.30 saved in twenty; commitments stay last."""
    shares = {"slow": 0.7, "quick": 0.9, "contract": 0.5}
    steps = [
        make("slow", effort=Effort.WEEKS),
        make("quick", effort=Effort.FLAG),
        make("contract", effort=Effort.CONTRACT, last=True),
    ]
    order = best_order(steps, lambda ids: math.prod(shares[i] for i in ids))
    assert order == ("quick", "slow", "contract")


def test_of_equal_steps_the_less_risky_goes_first():
    steps = [make("b", risk=Risk.NONE), make("a", risk=Risk.QUALITY)]
    assert best_order(steps, lambda ids: 0.9 ** len(ids)) == ("b", "a")


def test_a_step_without_gain_is_taken_only_where_another_needs_it():
    steps = [make("blocks"), make("prefix", requires=("blocks",)), make("idle")]
    assert best_order(steps, lambda ids: 0.8 if "prefix" in ids else 1.0) == ("blocks", "prefix")

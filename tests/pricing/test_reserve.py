"""The exact rule, held against the mixed-integer programme and against its own theory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pricing_made_up import ON_DEMAND, ONE_YEAR

from costaudit.ground.errors import UsageError
from costaudit.pricing.milp import Problem, Scenario, solve
from costaudit.pricing.reserve import (
    break_even_share,
    commitment_usd,
    fewest,
    load_duration,
    mean_of_falling,
    reserve_units,
)

needs = st.lists(st.integers(0, 40), min_size=1, max_size=36).map(tuple)
ratios = st.floats(0.01, 1.5)


@st.composite
def needs_and_untied_ratio(draw):
    """A ratio that no share of the hours equals, so that one R alone is best."""
    need = draw(needs)
    return need, (draw(st.integers(0, len(need) - 1)) + 0.5) / len(need)


def programme(need, ratio):
    from dataclasses import replace

    reserved = replace(ONE_YEAR, usd_per_replica_h=ratio * ON_DEMAND.usd_per_replica_h)
    return solve(
        Problem(scenarios=(Scenario(replicas=need),), committed=(reserved,), hourly=(ON_DEMAND,))
    )


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(needs_and_untied_ratio())
def test_the_rule_finds_what_the_programme_finds(drawn):
    need, ratio = drawn
    found = programme(need, ratio)
    units = reserve_units(need, ratio)
    assert found.units[ONE_YEAR.id] == units
    hourly = ON_DEMAND.usd_per_replica_h
    assert found.usd == pytest.approx(
        commitment_usd(need, units, committed=ratio * hourly, hourly=hourly), rel=1e-9, abs=1e-9
    )


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(needs, ratios)
def test_where_amounts_tie_the_cost_is_the_programmes(need, ratio):
    hourly = ON_DEMAND.usd_per_replica_h
    units = reserve_units(need, ratio)
    usd = commitment_usd(need, units, committed=ratio * hourly, hourly=hourly)
    assert usd == pytest.approx(programme(need, ratio).usd, rel=1e-9, abs=1e-9)


@given(needs, ratios)
def test_the_rule_is_the_cheapest_of_all_amounts(need, ratio):
    costs = [commitment_usd(need, k, committed=ratio, hourly=1.0) for k in range(max(need) + 2)]
    assert costs[reserve_units(need, ratio)] <= min(costs) * (1 + 1e-9)


@given(needs, ratios)
def test_the_cost_is_convex_in_the_amount(need, ratio):
    costs = [commitment_usd(need, k, committed=ratio, hourly=1.0) for k in range(max(need) + 3)]
    steps = [b - a for a, b in pairwise(costs)]
    assert all(b >= a - 1e-9 for a, b in pairwise(steps))


@given(needs, ratios, ratios)
def test_a_dearer_commitment_never_reserves_more(need, one, other):
    cheap, dear = sorted((one, other))
    assert reserve_units(need, dear) <= reserve_units(need, cheap)


@given(st.integers(0, 500), st.integers(1, 50), st.floats(0.01, 0.999))
def test_a_constant_demand_is_reserved_whole(need, hours, ratio):
    assert reserve_units((need,) * hours, ratio) == need


@given(needs, st.floats(1.0, 10.0))
def test_what_costs_as_much_as_the_hour_is_never_reserved(need, ratio):
    assert reserve_units(need, ratio) == 0


@given(needs, ratios.filter(lambda ratio: ratio < 1))
def test_unit_k_is_reserved_iff_it_is_used_enough(need, ratio):
    units = reserve_units(need, ratio)

    def used(k):
        return sum(n >= k for n in need) / len(need)

    assert not units or used(units) >= ratio * (1 - 1e-9)
    assert used(units + 1) < ratio


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_no_price_is_no_ratio(bad):
    with pytest.raises(UsageError, match="no price"):
        reserve_units((1, 2), bad)
    with pytest.raises(UsageError, match="no hours"):
        reserve_units((), 0.5)


@given(needs)
def test_the_load_duration_curve_holds_every_hour(need):
    curve = load_duration(need)
    assert curve[0].share == 1.0
    for level in curve:
        assert level.share == pytest.approx(sum(n >= level.replicas for n in need) / len(need))


def test_falling_prices_move_the_break_even():
    # The published figures: 0.44 of today's price is 0.58 of prices falling by 20 % a year, 0.67 at
    # 30 %, over three years.
    assert break_even_share(0.44, 1.0, fall_per_year=0.0, years=3) == pytest.approx(0.44)
    assert break_even_share(0.44, 1.0, fall_per_year=0.2, years=3) == pytest.approx(0.585, abs=5e-3)
    assert break_even_share(0.44, 1.0, fall_per_year=0.3, years=3) == pytest.approx(0.67, abs=5e-3)
    steps = 100_000
    numeric = sum(2.718281828459045 ** (-0.2 * 3 * (n + 0.5) / steps) for n in range(steps)) / steps
    assert mean_of_falling(0.2, 3) == pytest.approx(numeric, rel=1e-6)


@given(st.lists(st.integers(0, 9), max_size=30).map(sorted), st.integers(0, 100))
@example([0, 0, 3], 5)
def test_the_search_finds_the_last_least_of_a_convex_cost(slopes, start):
    slopes = [slope - 4 for slope in slopes]
    costs = [start + 1000 + sum(slopes[:k]) for k in range(len(slopes) + 1)]
    least = min(costs)
    assert fewest(costs.__getitem__, len(costs) - 1) == max(
        k for k, cost in enumerate(costs) if cost == least
    )


def test_the_rule_and_the_programme_agree_on_a_small_sample():
    for need, ratio in (((3, 9, 9, 4, 1), 0.5), ((0, 0, 7), 0.2), ((5, 5, 5, 6), 0.9)):
        assert programme(need, ratio).units[ONE_YEAR.id] == reserve_units(need, ratio)

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_made_up import API, ON_DEMAND, ONE_YEAR, SPOT, load_from

from costaudit.pricing.cover import mix_usd, rows_of
from costaudit.pricing.risk import (
    USUAL_SIGMA,
    Draws,
    Plan,
    World,
    cvar,
    in_world,
    knows_its_months,
    level_sigma,
    tails,
    whole_days,
)
from costaudit.pricing.way import Mix

HOURLY = Mix(id="hourly", title="", hourly=(ON_DEMAND,))
FLAT = [20.0] * (24 * 14)
DAILY = [10.0 + (n % 24) for n in range(24 * 14)]


def tail_of(load, mix=HOURLY, units=0, draws=None, **fields):
    (found,) = tails(load, [Plan(mix=mix, units=units)], draws or Draws(count=200), **fields)
    return found


def test_without_shocks_a_flat_demand_has_no_tail():
    found = tail_of(load_from(FLAT), draws=Draws(count=20, sigma=0.0))
    month = 20 * 4.0 * 730
    assert found.mean_usd == pytest.approx(month)
    assert found.cvar95_usd == pytest.approx(month)
    assert found.spread_share == pytest.approx(0.0, abs=1e-12)


def test_the_level_shock_is_lognormal_around_one():
    # Whole replicas of a fleet of 20,000 follow the level closely; at the 95th exp(1.645·s - s²/2).
    found = tail_of(load_from([20_000.0] * 48), draws=Draws(count=4000, sigma=0.2))
    month = 20_000 * 4.0 * 730
    assert found.mean_usd == pytest.approx(month, rel=0.02)
    assert found.p95_usd == pytest.approx(month * 2.718281828 ** (1.645 * 0.2 - 0.02), rel=0.02)
    assert found.spread_share == pytest.approx(0.2, abs=0.015)


@pytest.mark.slow
@given(st.lists(st.floats(0.5, 30), min_size=48, max_size=96), st.floats(0, 0.5))
def test_a_tail_is_ordered(fluid, sigma):
    found = tail_of(load_from(fluid), draws=Draws(count=60, sigma=sigma))
    assert found.p50_usd <= found.p95_usd <= found.cvar95_usd * (1 + 1e-9)
    assert found.mean_usd <= found.p95_usd * (1 + 1e-9)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_cvar_is_the_mean_of_the_worst_part(values):
    found = cvar(values, 0.95)
    assert max(values) * (1 + 1e-9) >= found
    assert found >= sum(values) / len(values) * (1 - 1e-9) - 1e-9


def test_cvar_by_hand():
    assert cvar([1, 2, 3, 4], 0.5) == pytest.approx(3.5)
    assert cvar(list(range(1, 31)), 0.95) == pytest.approx((30 + 0.5 * 29) / 1.5)


def test_reserving_the_peak_flattens_the_bill_and_the_cheapest_amount_does_not():
    load, draws = load_from(DAILY), Draws(count=400)
    peak = Mix(id="peak", title="", committed=ONE_YEAR, hourly=(ON_DEMAND,), at_peak=True)
    part = replace(peak, id="part", at_peak=False)
    plain, committed, flat = tails(
        load,
        [Plan(mix=HOURLY, units=0), Plan(mix=part, units=16), Plan(mix=peak, units=45)],
        draws,
    )
    assert committed.mean_usd < plain.mean_usd
    assert committed.spread_share > 0.6 * plain.spread_share
    assert flat.spread_share < 0.02


def test_the_same_seed_draws_the_same_and_the_budget_is_counted():
    load = load_from(DAILY)
    assert tail_of(load) == tail_of(load)
    assert tail_of(load, budget_usd=1.0).over_budget_share == 1.0
    assert tail_of(load, budget_usd=1e12).over_budget_share == 0.0
    assert tail_of(load).over_budget_share is None


def test_days_stay_whole_and_broken_ones_are_left_out():
    load = load_from([1.0] * 24 + [5.0] * 24 + [9.0] * 5)
    assert [len(day) for day in whole_days(load)] == [24, 24]
    draws = Draws(count=50, sigma=0.0)
    mean = tail_of(load, draws=draws).mean_usd
    assert 1.0 * 4 * 730 < mean < 5.0 * 4 * 730


def test_weekdays_keep_their_place_when_four_weeks_of_them_are_known():
    week = [10.0] * 5 + [1.0] * 2
    fluid = [x for _ in range(5) for day in week for x in [day] * 24]
    draws = Draws(count=100, sigma=0.0)
    # Thirty days hold eight to ten weekend days, whatever is drawn; at random it could be any.
    kept = tail_of(load_from(fluid), draws=draws)
    loose = tail_of(load_from(fluid, weekdays=False), draws=draws)
    assert kept.spread_share < loose.spread_share / 2


def test_the_spread_of_months_is_learnt_only_from_months():
    short = load_from(DAILY)
    assert level_sigma(short) == USUAL_SIGMA
    assert not knows_its_months(short)
    months = [level for level in (10.0, 20.0, 10.0, 20.0) for _ in range(30 * 24)]
    long = load_from(months)
    assert knows_its_months(long)
    assert level_sigma(long) == pytest.approx(0.4002, abs=1e-3)  # sd of ±ln(2)/2 over four


def test_prices_of_another_world_leave_the_contract_alone():
    rows = rows_of(load_from(FLAT))
    mix = Mix(id="", title="", committed=ONE_YEAR, hourly=(SPOT, ON_DEMAND))
    dearer = in_world(mix, World(id="", hourly=2.0, spot=2.0))
    base = mix_usd(rows, mix, 20)
    assert mix_usd(rows, dearer, 20) == pytest.approx(base)
    assert mix_usd(rows, dearer, 0) == pytest.approx(2 * mix_usd(rows, mix, 0))
    api = Mix(id="", title="", overflow=API)
    halved = in_world(api, World(id="", tokens=0.5))
    assert mix_usd(rows, halved, 0) == pytest.approx(0.5 * mix_usd(rows, api, 0))
    # Spot dearer than on demand is not used.
    dear_spot = in_world(mix, World(id="", spot=10.0))
    assert mix_usd(rows, dear_spot, 0) == pytest.approx(20 * 4.0 * len(FLAT))


def test_worlds_are_drawn_by_weight():
    both = Draws(
        count=400, sigma=0.0, worlds=(World(id="same"), World(id="dear", hourly=3.0, weight=3.0))
    )
    found = tail_of(load_from(FLAT), draws=both)
    assert found.mean_usd == pytest.approx(20 * 4.0 * 730 * 2.5, rel=0.06)

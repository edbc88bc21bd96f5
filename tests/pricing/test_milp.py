"""What couples one hour to another, and agreement with the closed forms where nothing does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pricing_made_up import API, ON_DEMAND, ONE_YEAR, SPOT, THREE_YEARS, load_from

from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.pricing.cover import best_units, mix_usd, rows_of
from costaudit.pricing.milp import Problem, Scenario, solve
from costaudit.pricing.way import Mix

pytestmark = pytest.mark.slow  # all of it together

needs = st.lists(st.integers(0, 20), min_size=1, max_size=24).map(tuple)
# Hundredths: the solver takes a constraint for met when it is to a millionth.
fluids = st.lists(st.integers(0, 1200).map(lambda n: n / 100), min_size=1, max_size=24)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(needs)
def test_spot_within_its_part_of_the_fleet_costs_what_the_mix_does(need):
    mix = Mix(id="", title="", committed=ONE_YEAR, hourly=(SPOT, ON_DEMAND))
    rows = rows_of(load_from(need))
    found = solve(
        Problem(
            scenarios=(Scenario(replicas=need),), committed=(ONE_YEAR,), hourly=(SPOT, ON_DEMAND)
        )
    )
    assert mix_usd(rows, mix, best_units(rows, mix)) == pytest.approx(found.usd, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(fluids)
def test_overflow_to_an_api_costs_what_the_mix_does(fluid):
    load = load_from(fluid)
    rows = rows_of(load)
    scenario = Scenario(
        replicas=load.replicas,
        fluid=tuple(rows.fluid.tolist()),
        token_usd_per_replica_h=tuple(rows.asks(API).tolist()),
    )
    for hourly in ((), (ON_DEMAND,)):
        mix = Mix(id="", title="", committed=THREE_YEARS, hourly=hourly, overflow=API)
        found = solve(Problem(scenarios=(scenario,), committed=(THREE_YEARS,), hourly=hourly))
        assert mix_usd(rows, mix, best_units(rows, mix)) == pytest.approx(found.usd, abs=1e-6)


def test_the_cheaper_of_two_commitments_is_taken_up_to_its_limit():
    limited = replace(THREE_YEARS, units=4)
    found = solve(
        Problem(
            scenarios=(Scenario(replicas=(10,) * 12),),
            committed=(limited, ONE_YEAR),
            hourly=(ON_DEMAND,),
        )
    )
    assert found.units == {limited.id: 4, ONE_YEAR.id: 6}


def test_starting_costs_keep_replicas_running_through_a_short_dip():
    need = (5, 5, 4, 5, 5)
    free = Problem(scenarios=(Scenario(replicas=need),), hourly=(ON_DEMAND,))
    assert solve(free).usd == pytest.approx(24 * 4.0)
    dear = replace(free, start_usd={ON_DEMAND.id: 10.0})
    assert solve(dear).usd == pytest.approx(25 * 4.0 + 5 * 10.0)  # all five held through the dip


def test_a_tail_budget_buys_certainty():
    calm, busy = Scenario(replicas=(2,) * 24), Scenario(replicas=(10,) * 24)
    free = Problem(scenarios=(calm,) * 9 + (busy,), committed=(ONE_YEAR,), hourly=(ON_DEMAND,))
    loose = solve(free)
    assert loose.units == {ONE_YEAR.id: 2}
    worst = max(loose.bills_usd)
    bound = solve(replace(free, budget_usd=0.9 * worst))
    assert bound.units[ONE_YEAR.id] > 2
    assert bound.usd > loose.usd
    assert bound.cvar_usd <= 0.9 * worst + 1e-6
    assert loose.cvar_usd == pytest.approx(worst)  # the worst twentieth is half of one in ten
    with pytest.raises(InconclusiveError, match="cannot be met"):
        solve(replace(free, budget_usd=1.0))


def test_whole_servers_are_bought():
    found = solve(
        Problem(
            scenarios=(Scenario(replicas=(9,) * 6),),
            committed=(ONE_YEAR,),
            hourly=(ON_DEMAND,),
            server=8,
        )
    )
    assert found.units == {ONE_YEAR.id: 16}


def test_nothing_to_plan_is_said():
    with pytest.raises(UsageError, match="no demand"):
        solve(Problem(scenarios=()))
    with pytest.raises(UsageError, match="nothing to buy"):
        solve(Problem(scenarios=(Scenario(replicas=(1,)),)))

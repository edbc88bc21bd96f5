"""What a mix costs: counted by hand, and the laws of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_made_up import API, ON_DEMAND, ONE_YEAR, SPOT, load_from, offers_of

from costaudit.pricing.cover import best_units, mix_usd, rows_of, token_usd
from costaudit.pricing.mixes import mixes
from costaudit.pricing.reserve import reserve_units
from costaudit.pricing.way import Mix

fluids = st.lists(st.floats(0, 30), min_size=1, max_size=48)


def test_by_hand():
    rows = rows_of(load_from([3, 10, 6]))
    on_demand = Mix(id="", title="", hourly=(ON_DEMAND,))
    assert mix_usd(rows, on_demand, 0) == pytest.approx(4 * 19)
    both = Mix(id="", title="", committed=ONE_YEAR, hourly=(SPOT, ON_DEMAND))
    # Four committed for three hours; of the six missing then three on spot (0.3 of ten), of the
    # two missing later one (0.3 of six).
    assert mix_usd(rows, both, 4) == pytest.approx(2.8 * 4 * 3 + (3 * 2 + 3 * 4) + (1 * 2 + 1 * 4))


def test_the_api_is_asked_for_what_a_replica_would_idle_through():
    # One replica-hour at the API: 1.0 computed, 0.2 cached, 0.4 output million tokens.
    value = 0.5 * 1.0 + 0.1 * 0.2 + 1.5 * 0.4
    dear = replace(API, usd_per_1m_input=5.0, usd_per_1m_cached=1.0, usd_per_1m_output=15.0)
    rows = rows_of(load_from([2.9, 2.1]))
    assert mix_usd(rows, Mix(id="", title="", overflow=API), 0) == pytest.approx(5 * value)
    beside = Mix(id="", title="", hourly=(ON_DEMAND,), overflow=dear)
    # 0.9 of a replica is worth 10 · value · 0.9 > 4 dollars, 0.1 of one is not.
    assert mix_usd(rows, beside, 0) == pytest.approx(3 * 4 + 2 * 4 + 0.1 * 10 * value)


def test_a_replica_beside_the_api_is_rented_for_whole_hours():
    # Six windows of ten minutes in one hour: the second unit is used in one of them.
    dear = replace(API, usd_per_1m_input=5.0, usd_per_1m_cached=1.0, usd_per_1m_output=15.0)
    load = load_from([1, 1, 2, 1, 1, 1], window_h=1 / 6)
    beside = Mix(id="", title="", hourly=(ON_DEMAND,), overflow=dear)
    assert mix_usd(rows_of(load), beside, 0) == pytest.approx(4.0 + 11.2 / 6)


@given(fluids)
def test_best_units_agree_with_the_rule(fluid):
    load = load_from(fluid)
    mix = Mix(id="", title="", committed=ONE_YEAR, hourly=(ON_DEMAND,))
    found = best_units(rows_of(load), mix)
    rule = reserve_units(load.replicas, 2.8 / 4.0)
    rows = rows_of(load)
    assert mix_usd(rows, mix, found) == pytest.approx(mix_usd(rows, mix, rule))


@given(fluids, st.integers(1, 8))
def test_no_other_amount_of_whole_servers_is_cheaper(fluid, server):
    load = load_from(fluid, replicas_per_server=server)
    rows = rows_of(load)
    for mix in mixes(offers_of(ON_DEMAND, SPOT, ONE_YEAR, API), rows):
        if mix.at_peak or mix.committed is None:
            continue
        found = best_units(rows, mix, step=server)
        assert found % server == 0
        least = min(mix_usd(rows, mix, units) for units in range(0, max(load.replicas) + 1, server))
        assert mix_usd(rows, mix, found) <= least * (1 + 1e-9) + 1e-9


@given(fluids)
def test_more_ways_never_cost_more(fluid):
    rows = rows_of(load_from(fluid))
    alone = mix_usd(rows, Mix(id="", title="", overflow=API), 0)
    beside = mix_usd(rows, Mix(id="", title="", hourly=(ON_DEMAND,), overflow=API), 0)
    assert alone == pytest.approx(float(token_usd(rows, API).sum()))
    assert beside <= alone * (1 + 1e-9) + 1e-9


def test_the_peak_paid_for_still_rents_what_exceeds_it():
    rows = rows_of(load_from([4, 8]))
    found = {mix.id: mix for mix in mixes(offers_of(ON_DEMAND, ONE_YEAR), rows)}
    peak = found["reserved-1y-peak"]
    assert best_units(rows, peak) == 8
    assert mix_usd(rows_of(load_from([9, 9])), peak, 8) == pytest.approx(2 * (8 * 2.8 + 4.0))


def test_mixes_need_what_they_are_made_of():
    rows = rows_of(load_from([1, 2]))
    assert mixes(offers_of(), rows) == ()
    assert [mix.id for mix in mixes(offers_of(API), rows)] == [API.id]
    dear_spot = replace(SPOT, usd_per_replica_h=9.0)
    ids = {mix.id for mix in mixes(offers_of(ON_DEMAND, dear_spot), rows)}
    assert ids == {"on-demand-peak", "on-demand"}  # spot dearer than on demand is of no use
    batch = replace(API, id="batch", patient=True, usd_per_1m_input=0.01)
    overflowing = [m for m in mixes(offers_of(ONE_YEAR, ON_DEMAND, API, batch), rows) if m.overflow]
    assert {m.overflow.id for m in overflowing if m.committed} == {API.id}


def test_a_fleet_that_swings_widely_is_decided_in_blocks_and_never_cheaper_than_it_can_be():
    swings = load_from([0, 0, 1000, 700, 350, 0], window_h=1 / 6)
    rows = rows_of(swings)
    dear = replace(API, usd_per_1m_input=5.0, usd_per_1m_cached=1.0, usd_per_1m_output=15.0)
    beside = mix_usd(rows, Mix(id="", title="", hourly=(ON_DEMAND,), overflow=dear), 0)
    # Unit by unit: all three windows up to 350, two up to 700, one up to 1000.
    value = 11.2 / 6
    exact = sum(
        upto * min(4.0, windows * value) for upto, windows in ((350, 3), (350, 2), (300, 1))
    )
    assert exact * (1 - 1e-9) <= beside <= exact * 1.02

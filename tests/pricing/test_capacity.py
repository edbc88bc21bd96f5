"""Capacity and its prices: the identity, the need, and what the what-if engine says of both."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_made_up import CAPACITY, EPOCH

from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.pricing.capacity import Capacity, unit_costs, whole_servers
from costaudit.pricing.load import load_of
from costaudit.traffic.demand import Demand

rates = st.floats(1.0, 1e6)
capacities = st.builds(
    Capacity,
    prefill_tokens_per_s=rates,
    decode_tokens_per_s=rates,
    interference=st.floats(0.5, 5),
    utilization_share=st.floats(0.1, 1),
    cached_share=st.floats(0, 1),
    origin=st.just("drawn"),
)


def demand_of(prompt, output, *, window_s=600.0, covered=None, relative=False):
    starts = tuple(EPOCH + dt.timedelta(seconds=window_s * n) for n in range(len(prompt)))
    return Demand(
        source="made.csv",
        format="made",
        window_s=window_s,
        starts=starts,
        requests=tuple(None if p is None else 1.0 for p in prompt),
        prompt_tokens=tuple(prompt),
        output_tokens=tuple(output),
        cached_prompt_tokens=(None,) * len(prompt),
        covered_s=tuple(covered or (0.0 if p is None else window_s for p in prompt)),
        first=starts[0],
        last=starts[-1],
        relative_time=relative,
    )


@given(
    capacities,
    st.floats(0.01, 100),
    st.floats(0.1, 1e5),
    st.floats(0, 1e12),
    st.floats(0, 1e12),
)
def test_tokens_times_unit_plus_idle_is_the_bill(capacity, usd, hours, prompt, output):
    found = unit_costs(
        capacity,
        usd_per_replica_h=usd,
        paid_replica_h=hours,
        computed_prompt_tokens=prompt,
        output_tokens=output,
    )
    tokens_usd = found.usd_per_1m_prefill * prompt / 1e6 + found.usd_per_1m_decode * output / 1e6
    whole = usd * hours
    assert tokens_usd + found.idle_usd == pytest.approx(whole, rel=1e-9, abs=1e-9 * tokens_usd)
    if found.loaded_usd_per_1m_prefill and found.loaded_usd_per_1m_decode:
        loaded = found.loaded_usd_per_1m_prefill * prompt + found.loaded_usd_per_1m_decode * output
        assert loaded / 1e6 == pytest.approx(whole, rel=1e-9)


@given(capacities, st.floats(0, 1e5), st.floats(0, 1e5))
def test_idle_is_what_the_work_leaves(capacity, prompt_per_s, output_per_s):
    hours = 3.0
    found = unit_costs(
        capacity,
        usd_per_replica_h=2.0,
        paid_replica_h=hours,
        computed_prompt_tokens=(1 - capacity.cached_share) * prompt_per_s * 3600 * hours,
        output_tokens=output_per_s * 3600 * hours,
    )
    work = capacity.work(prompt_per_s, output_per_s)
    assert found.utilization_share == pytest.approx(work, rel=1e-9, abs=1e-12)


def test_prices_of_a_replica_by_hand():
    found = unit_costs(
        replace(CAPACITY, kv_tokens=400_000),
        usd_per_replica_h=3.9,
        paid_replica_h=100,
        computed_prompt_tokens=1e9,
        output_tokens=1e8,
    )
    assert found.usd_per_1m_prefill == pytest.approx(3.9 * 1.1 * 1e6 / (3600 * 20e3))
    assert found.usd_per_1m_decode == pytest.approx(3.9 * 1.1 * 1e6 / (3600 * 3e3))
    assert found.usd_per_1m_kv_token_h == pytest.approx(9.75)


def test_the_worst_window_of_an_hour_is_needed_for_all_of_it():
    # Work of 3,000 output tokens/s: 1.1 replicas, over 0.75 it is 1.467.
    output = [600 * 3000.0] * 5 + [600 * 9000.0] + [600 * 3000.0] * 6
    load = load_of(demand_of([0.0] * 12, output), CAPACITY)
    assert load.fluid[0] == pytest.approx(1.1 / 0.75)
    assert load.replicas == (5,) * 6 + (2,) * 6
    assert sum(load.output_tokens) == pytest.approx(sum(output))


def test_gaps_are_missing_and_a_part_of_a_window_counts_for_its_part():
    prompt = [600 * 20e3 / 0.75] * 3
    known = load_of(demand_of([*prompt, None, None, None], [0.0] * 3 + [None] * 3), CAPACITY)
    assert len(known.fluid) == 3
    assert known.missing_share == pytest.approx(0.5)
    assert any("no record" in note for note in known.notes)
    half = load_of(demand_of(prompt, [0.0] * 3, covered=[600.0, 600.0, 400.0]), CAPACITY)
    assert half.fluid[2] == pytest.approx(half.fluid[0] * 1.5)
    with pytest.raises(InconclusiveError, match="no window"):
        load_of(demand_of([None], [None]), CAPACITY)


def test_tokens_beyond_any_fleet_are_no_tokens():
    with pytest.raises(InconclusiveError, match="nobody runs"):
        load_of(demand_of([1e18], [0.0]), CAPACITY)


def test_windows_longer_than_a_cold_start_are_said_to_hide_peaks():
    load = load_of(demand_of([1e6], [1e5], window_s=3600.0), CAPACITY)
    assert any("hide peaks" in note for note in load.notes)
    fine = load_of(demand_of([1e6], [1e5]), CAPACITY)
    assert not fine.notes


def test_a_log_without_dates_has_no_weekdays():
    assert load_of(demand_of([1.0], [1.0], relative=True), CAPACITY).weekdays == (-1,)
    assert load_of(demand_of([1.0], [1.0]), CAPACITY).weekdays == (3,)  # a Thursday, in 1970


@given(st.lists(st.integers(0, 100), min_size=1), st.integers(1, 16))
def test_whole_servers_hold_the_need(need, server):
    for given_need, held in zip(need, whole_servers(need, server), strict=True):
        assert held % server == 0
        assert given_need <= held < given_need + server


@pytest.mark.parametrize(
    "broken",
    [
        {"decode_tokens_per_s": 0.0},
        {"prefill_tokens_per_s": float("nan")},
        {"utilization_share": 1.2},
        {"cached_share": -0.1},
        {"interference": 0.0},
    ],
)
def test_what_no_replica_can_be_is_refused(broken):
    with pytest.raises(UsageError):
        replace(CAPACITY, **broken)

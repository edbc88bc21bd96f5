"""The published worked example (ServeGen m-large, H100 prices of August 2026), on its inputs.

Its fourteen days are not all at hand: the first seven are, and the example's own figures determine
the tokens of the month. What follows from either is held to the dollar it was rounded to.
"""

from __future__ import annotations

import datetime as dt

import pytest
from pricing_made_up import CAPACITY, load_from

from costaudit.facts.own_prices import Origin, OwnPrem
from costaudit.facts.token_prices import prices_of_model
from costaudit.pricing.cover import best_units, mix_usd, rows_of
from costaudit.pricing.load import load_of
from costaudit.pricing.milp import Problem, Scenario, solve
from costaudit.pricing.reserve import reserve_units
from costaudit.pricing.way import Committed, Hourly, Mix, PerToken
from costaudit.pricing.ways.on_prem import usd_per_device_h
from costaudit.pricing.ways.spot import effective_usd
from costaudit.traffic.read import read_demand

USD_H = 3.90
RATIO_1Y, RATIO_3Y = 0.694, 0.439
MONTH_H = 730
PEAK = 73
# Tokens of the month, in millions, from two of the published bills (Groq 163,922 and Nebius
# 58,840 for Qwen3-32B, a quarter of the prompt cached): two equations, two unknowns.
PROMPT_M, OUTPUT_M = 475_690.79, 73_246.55
CACHED = 0.25
ON_DEMAND = Hourly(id="on-demand", title="", usd_per_replica_h=USD_H)

SPOT = Hourly(id="spot", title="", usd_per_replica_h=2.235, fleet_share=0.3)


def reserved(ratio):
    return Committed(id="reserved", title="", usd_per_replica_h=ratio * USD_H, term_h=8760)


def api_usd(entry, cached, output):
    way = PerToken(
        id="api",
        title="",
        usd_per_1m_input=entry,
        usd_per_1m_cached=cached,
        usd_per_1m_output=output,
    )
    return way.usd((1 - CACHED) * PROMPT_M * 1e6, CACHED * PROMPT_M * 1e6, OUTPUT_M * 1e6)


@pytest.fixture(scope="module")
def first_week(checkout):
    path = checkout / "bench" / "data" / "traces" / "servegen_m-large_10min_week1.csv"
    return load_of(read_demand(str(path), window_s=600), CAPACITY)


def test_the_first_week_reserves_27(first_week):
    # "R from week 1 = 27" for one year at 0.694 of on demand.
    assert reserve_units(first_week.replicas, RATIO_1Y) == 27
    mix = Mix(id="", title="", committed=reserved(RATIO_1Y), hourly=(ON_DEMAND,))
    assert best_units(rows_of(first_week), mix) == 27


@pytest.mark.parametrize(("ratio", "spot"), [(RATIO_1Y, False), (RATIO_1Y, True), (RATIO_3Y, True)])
def test_the_programme_agrees_on_the_first_week(first_week, ratio, spot):
    hourly = (SPOT, ON_DEMAND) if spot else (ON_DEMAND,)
    mix = Mix(id="", title="", committed=reserved(ratio), hourly=hourly)
    rows = rows_of(first_week)
    units = best_units(rows, mix)
    found = solve(
        Problem(
            scenarios=(Scenario(replicas=first_week.replicas[::6]),),
            committed=(reserved(ratio),),
            hourly=hourly,
        )
    )
    assert found.units == {"reserved": units}
    assert found.usd == pytest.approx(mix_usd(rows, mix, units), rel=1e-9)


def test_the_first_week_is_read_whole(first_week):
    assert first_week.history_days == pytest.approx(7.0)
    assert len(first_week.fluid) == 1008
    assert max(first_week.replicas) <= PEAK


def test_the_peak_fixed():
    rows = rows_of(load_from([PEAK] * MONTH_H))
    assert mix_usd(rows, Mix(id="", title="", hourly=(ON_DEMAND,)), 0) == pytest.approx(
        207_831, abs=1
    )
    peak = Mix(id="", title="", committed=reserved(RATIO_3Y), at_peak=True)
    assert mix_usd(rows, peak, best_units(rows, peak)) == pytest.approx(91_238, abs=1)


def test_tokens_at_other_price_lists():
    # Published for the same volume at the list prices of a 70B model.
    listed = {p.provider: p for p in prices_of_model("meta-llama/Llama-3.3-70B-Instruct")}
    published = {"deepinfra": 71_008, "groq": 338_523, "togetherai": 483_065}
    for provider, usd in published.items():
        price = listed[provider]
        cached = price.cached_usd_per_1m
        entry = price.input_usd_per_1m
        assert api_usd(
            entry, entry if cached is None else cached, price.output_usd_per_1m
        ) == pytest.approx(usd, abs=2)


def test_what_the_api_asks_for_a_replica_hour():
    # v = 9.52, and o/v = 1.14 at Nebius' prices: there the API wins at any use.
    fluid = (
        CAPACITY.work(PROMPT_M * 1e6 / (MONTH_H * 3600), OUTPUT_M * 1e6 / (MONTH_H * 3600))
        / CAPACITY.utilization_share
    )
    assert api_usd(0.29, 0.145, 0.59) == pytest.approx(163_922, abs=2)
    assert api_usd(0.29, 0.145, 0.59) / MONTH_H / fluid == pytest.approx(9.52, abs=0.005)
    nebius = api_usd(0.10, 0.01, 0.30) / MONTH_H / fluid
    assert nebius == pytest.approx(3.42, abs=0.005)
    assert USD_H / nebius == pytest.approx(1.14, abs=0.005)


def test_spot_and_own_devices():
    assert effective_usd(
        1.60,
        USD_H,
        availability_share=0.75,
        interruptions_per_h=0.2,
        lost_h_per_interruption=0.25,
    ) == pytest.approx(2.24, abs=0.006)
    owned = OwnPrem(
        capex_usd_per_device=275_000 / 8,
        years=4,
        interest_share=0.08,
        upkeep_share=0.12,
        device_w=1300,
        pue=1.3,
        usd_per_kwh=0.10,
        availability_share=1.0,
        origin=Origin(source="example", as_of=dt.date(2026, 8, 21).isoformat()),
    )
    assert usd_per_device_h(owned) == pytest.approx(1.82, abs=0.006)

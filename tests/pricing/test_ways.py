"""What each kind of way makes of a market, or why it cannot."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_made_up import load_from

from costaudit.facts.own_prices import (
    Origin,
    OwnGpu,
    OwnPrem,
    OwnPrices,
    OwnSpot,
    OwnToken,
    OwnUnit,
)
from costaudit.pricing.market import Market, TokensPerReplicaH, served_by
from costaudit.pricing.way import kinds, offers
from costaudit.pricing.ways.on_prem import recovery_factor, usd_per_device_h
from costaudit.pricing.ways.spot import effective_usd

TODAY = dt.date(2026, 9, 1)
ORIGIN = Origin(source="test", as_of="2026-08-01")
SERVED = TokensPerReplicaH(computed=6e6, cached=2e6, output=1e6)
MARKET = Market(
    device="NVIDIA H100 80GB HBM3",
    kind="cuda",
    devices=2,
    model="Qwen/Qwen3-32B",
    served=SERVED,
    today=TODAY,
)
NOBODY = replace(MARKET, device="NVIDIA H300", model="nobody/serves-this")
GPU = OwnGpu(
    device="NVIDIA H100 80GB HBM3",
    on_demand_usd=3.0,
    spot_usd=1.2,
    reserved_1y_usd=2.0,
    reserved_3y_usd=1.5,
    origin=ORIGIN,
)
PREM = OwnPrem(
    capex_usd_per_device=30_000,
    years=4,
    interest_share=0.08,
    upkeep_share=0.1,
    device_w=700,
    pue=1.3,
    usd_per_kwh=0.1,
    availability_share=0.98,
    origin=ORIGIN,
)


def ways_of(market, kind):
    return {way.id: way for way in offers(market).by_kind[kind].ways}


def test_every_file_is_a_kind_and_says_why_it_cannot():
    assert [kind.id for kind in kinds()] == [
        "on-demand", "on-prem", "provisioned", "reserved", "spot", "token-api",
    ]  # fmt: skip
    found = offers(NOBODY)
    assert not found.ways
    assert all(offer.why_not for offer in found.by_kind.values())


def test_every_way_stands_on_a_quote_with_its_source_and_date():
    for offer in offers(replace(MARKET, own=OwnPrices(on_prem=PREM))).by_kind.values():
        assert offer.why_not or offer.quotes
        for quote in offer.quotes:
            assert quote.source
            assert quote.as_of
            assert quote.usd > 0
        for said in offer.assumptions:
            assert said.source


def test_a_given_price_rules_then_ones_own_then_the_list():
    listed = ways_of(MARKET, "on-demand")["on-demand"].usd_per_replica_h
    own = replace(MARKET, own=OwnPrices(gpus=(GPU,)))
    given_usd = replace(own, on_demand_usd=9.0)
    assert listed > 2
    assert ways_of(own, "on-demand")["on-demand"].usd_per_replica_h == pytest.approx(6.0)
    assert ways_of(given_usd, "on-demand")["on-demand"].usd_per_replica_h == pytest.approx(18.0)


def test_reserved_prices_are_quoted_or_assumed_from_a_ratio_and_say_which():
    own = replace(MARKET, own=OwnPrices(gpus=(GPU,)))
    found = ways_of(own, "reserved")
    assert found["reserved-1y"].usd_per_replica_h == pytest.approx(4.0)
    assert found["reserved-3y"].term_h == pytest.approx(3 * 8760)
    assumed = offers(MARKET).by_kind["reserved"]
    assert assumed.ways
    assert all("assumed" in quote.note for quote in assumed.quotes)
    assert all(quote.stale for quote in assumed.quotes)  # the ratio is of March 2025
    given_usd = replace(own, reserved_usd=1.0)
    assert ways_of(given_usd, "reserved")["reserved-1y"].usd_per_replica_h == pytest.approx(2.0)
    assert ways_of(given_usd, "reserved")["reserved-3y"].usd_per_replica_h == pytest.approx(3.0)


def test_spot_costs_what_its_interruptions_make_of_it():
    own = OwnPrices(
        gpus=(GPU,),
        spot=OwnSpot(
            availability_share=0.5,
            interruptions_per_h=0.5,
            lost_h_per_interruption=0.4,
            fleet_share=0.2,
            origin=ORIGIN,
        ),
    )
    way = ways_of(replace(MARKET, own=own), "spot")["spot"]
    assert way.usd_per_replica_h == pytest.approx(2 * (0.5 * 1.2 * 1.2 + 0.5 * 3.0))
    assert way.fleet_share == 0.2
    usual = offers(replace(MARKET, own=OwnPrices(gpus=(GPU,)))).by_kind["spot"]
    assert {said.what for said in usual.assumptions} == {
        "spot availability", "spot interruptions", "lost per interruption",
        "spot part of the fleet",
    }  # fmt: skip


@given(st.floats(0.1, 5), st.floats(0.1, 5), st.floats(0, 1), st.floats(0, 2), st.floats(0, 1))
def test_spot_that_cannot_be_had_costs_on_demand(spot, hour, share, often, lost):
    def usd(availability):
        return effective_usd(
            spot,
            hour,
            availability_share=availability,
            interruptions_per_h=often,
            lost_h_per_interruption=lost,
        )

    assert usd(0.0) == pytest.approx(hour)
    assert usd(1.0) == pytest.approx(spot * (1 + often * lost))
    assert min(usd(0.0), usd(1.0)) - 1e-9 <= usd(share) <= max(usd(0.0), usd(1.0)) + 1e-9


def test_an_api_without_a_discount_asks_full_price_for_cached_input():
    found = ways_of(MARKET, "token-api")
    assert found["api-groq"].usd_per_1m_cached == found["api-groq"].usd_per_1m_input == 0.29
    assert found["api-nebius"].usd_per_1m_cached == 0.01
    only = ways_of(replace(MARKET, api="groq/qwen/qwen3-32b"), "token-api")
    assert list(only) == ["api-groq"]


def test_batch_prices_are_for_the_patient():
    token = OwnToken(
        provider="us",
        model="Qwen/Qwen3-32B",
        input_usd=1.0,
        output_usd=2.0,
        cached_usd=None,
        batch_input_usd=0.5,
        batch_output_usd=1.0,
        origin=ORIGIN,
    )
    found = ways_of(replace(MARKET, own=OwnPrices(tokens=(token,))), "token-api")
    assert found["batch-us"].patient
    assert not found["api-us"].patient
    assert found["batch-us"].usd(1e6, 0, 1e6) == pytest.approx(1.5)


def test_provisioned_units_are_counted_by_the_tokens_of_a_replica():
    unit = OwnUnit(
        provider="azure",
        model="m",
        usd_per_unit_h=1.5,
        input_tokens_per_min=50_000,
        output_tokens_per_min=10_000,
        term_months=1,
        origin=ORIGIN,
    )
    found = ways_of(replace(MARKET, own=OwnPrices(units=(unit,))), "provisioned")
    # 8 M prompt and 1 M output tokens an hour: 133,333 and 16,667 a minute.
    units = 8e6 / 60 / 50_000 + 1e6 / 60 / 10_000
    assert found["provisioned-azure"].usd_per_replica_h == pytest.approx(1.5 * units)
    assert found["provisioned-azure"].term_h == pytest.approx(730)


def test_a_device_of_ones_own_pays_back_its_price_with_interest():
    assert recovery_factor(0.0, 4) == pytest.approx(0.25)
    paid, owed = recovery_factor(0.08, 4), 1.0
    for _ in range(4):
        owed = owed * 1.08 - paid
    assert owed == pytest.approx(0.0, abs=1e-12)
    hour = usd_per_device_h(PREM)
    by_hand = (30_000 * (paid + 0.1) / 8760 + 0.7 * 1.3 * 0.1) / 0.98
    assert hour == pytest.approx(by_hand)


def test_a_cpu_is_priced_by_the_core():
    cpu = replace(MARKET, device="Some CPU", kind="cpu", devices=1)
    assert 0.03 < ways_of(cpu, "on-demand")["on-demand"].usd_per_replica_h < 0.1


def test_tokens_of_a_replica_hour_come_from_the_load():
    served = served_by(load_from([2.0, 4.0]))
    assert (served.computed, served.cached, served.output) == (1e6, 2e5, 4e5)
    assert served_by(load_from([0.0])).output == 0.0

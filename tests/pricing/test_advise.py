"""The advice as a whole: what is compared, what is advised, what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pricing_made_up import (
    API,
    CAPACITY,
    ON_DEMAND,
    ONE_YEAR,
    SPOT,
    THREE_YEARS,
    load_from,
    offers_of,
)

from costaudit.ground.errors import InconclusiveError
from costaudit.pricing.advise import Question, advise
from costaudit.pricing.risk import Draws
from costaudit.pricing.stranded import Gain
from costaudit.pricing.way import Offer, Offers

DAY = [4.0 + 8.0 * (8 <= n < 20) for n in range(24)]
LONG, SHORT = load_from(DAY * 35), load_from(DAY * 7)
ALL = offers_of(ON_DEMAND, SPOT, ONE_YEAR, THREE_YEARS, API)
QUICK = Draws(count=60)


def advice(load=LONG, offers=ALL, draws=QUICK, **question):
    return advise(load, CAPACITY, offers, Question(draws=draws, **question))


def by_id(found):
    return {option.mix.id: option for option in found.options}


def test_a_long_history_may_commit():
    dear = replace(API, usd_per_1m_input=50.0, usd_per_1m_output=150.0)
    found = advice(offers=offers_of(ON_DEMAND, SPOT, ONE_YEAR, THREE_YEARS, dear))
    assert found.insufficient_history == ""
    assert found.best is not None
    assert found.best.mix.committed == THREE_YEARS
    assert found.best.units
    assert found.regret is not None
    assert found.regret.regret_share == pytest.approx(0.0, abs=1e-9)
    assert all(order.over_term_usd > 0 for order in found.stranded)


def test_a_short_history_commits_to_the_no_regret_amount_and_says_why():
    dear = replace(API, usd_per_1m_input=50.0, usd_per_1m_output=150.0)
    load = load_from([n + 1.0 for n in range(7) for _ in range(24)])  # 1, 2, … 7 a day
    found = advice(load=load, offers=offers_of(ON_DEMAND, THREE_YEARS, dear))
    assert "insufficient history" in found.insufficient_history
    assert found.best is not None
    assert found.best.mix.id.endswith("+no-regret")
    assert found.best.units == 1
    free = [o for o in found.options if o.mix.term_h and not o.mix.id.endswith("+no-regret")]
    assert free
    assert not any(option.advised for option in free)
    assert all(option.why == found.insufficient_history for option in free if option.units)


def test_options_stand_by_their_mean_and_the_best_is_the_first_advised():
    for load in (LONG, SHORT):
        found = advice(load=load)
        means = [option.tail.mean_usd for option in found.options]
        assert means == sorted(means)
        assert found.best == next(o for o in found.options if o.advised)


def test_batch_answers_are_priced_and_never_advised():
    batch = replace(API, id="batch", patient=True, usd_per_1m_input=1e-6, usd_per_1m_output=1e-6)
    found = advice(offers=offers_of(ON_DEMAND, API, batch))
    assert found.options[0].mix.id == "batch"
    assert not found.options[0].advised
    assert found.best is not None
    assert found.best.mix.id != "batch"


def test_the_cost_of_a_million_tokens_is_the_month_over_its_tokens():
    found = by_id(advice())
    tokens = sum(LONG.computed_tokens) + sum(LONG.cached_tokens) + sum(LONG.output_tokens)
    for option in found.values():
        month_m = tokens * LONG.per_month / 1e6
        assert option.usd_per_1m_tokens * month_m == pytest.approx(option.usd_per_month)


def test_unit_costs_close_on_the_bill_of_the_cheapest_fleet():
    found = advice()
    units = found.units
    assert units is not None
    tokens_usd = (
        units.usd_per_1m_prefill * sum(LONG.computed_tokens)
        + units.usd_per_1m_decode * sum(LONG.output_tokens)
    ) / 1e6
    assert tokens_usd + units.idle_usd == pytest.approx(units.bill_usd, rel=1e-9)
    fleets = [o for o in found.options if o.mix.overflow is None]
    assert units.bill_usd * LONG.per_month == pytest.approx(fleets[0].usd_per_month, rel=1e-9)


def test_a_budget_is_counted_and_its_tail_can_be_bought():
    dear = replace(API, usd_per_1m_input=50.0, usd_per_1m_output=150.0)
    offers = offers_of(ON_DEMAND, THREE_YEARS, dear)
    load = load_from([10.0] * 24 * 35)
    free = advice(load=load, offers=offers).options[0]
    budget = free.tail.cvar95_usd * 0.92
    found = by_id(advice(load=load, offers=offers, budget_usd=budget))
    bought = next(o for name, o in found.items() if name.endswith("+within-budget"))
    assert bought.units > free.units
    assert bought.tail.mean_usd >= free.tail.mean_usd
    assert bought.tail.cvar95_usd < free.tail.cvar95_usd
    assert all(o.tail.over_budget_share is not None for o in found.values())
    generous = by_id(advice(load=load, offers=offers, budget_usd=10 * budget))
    assert not any(name.endswith("+within-budget") for name in generous)


def test_gains_of_the_playbook_come_before_the_usual_what_if():
    found = advice(gains=(Gain(factor=1.3, source="the playbook"),))
    assert [order.gain.factor for order in found.stranded] == [1.3, 1.6]
    assert not advice(offers=offers_of(ON_DEMAND)).stranded  # nothing committed, nothing stranded


def test_what_ifs_keep_the_plan_and_name_what_would_be_cheapest():
    found = advice()
    assert [case.id for case in found.what_ifs] == [
        "volume-x0.7", "efficiency-x1.6", "hourly-and-api-prices-x0.8", "spot-price-x1.4",
    ]  # fmt: skip
    for case in found.what_ifs:
        assert case.best_usd_per_month <= case.usd_per_month * (1 + 1e-9)
    less = found.what_ifs[0]
    assert found.best is not None
    assert less.usd_per_month <= found.best.usd_per_month


def test_nothing_to_pay_for_and_nothing_to_pay_with_are_said():
    with pytest.raises(InconclusiveError, match="no tokens"):
        advice(load=load_from([0.0] * 48))
    nothing = Offers(by_kind={"spot": Offer(why_not="no spot price is known")})
    with pytest.raises(InconclusiveError) as caught:
        advice(offers=nothing)
    assert "no spot price" in caught.value.hint


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0, 25), min_size=24, max_size=24 * 3).filter(any),
    st.integers(1, 4),
)
def test_no_option_is_cheaper_than_the_first_and_every_amount_is_whole_servers(fluid, server):
    found = advice(load=load_from(fluid, replicas_per_server=server), draws=Draws(count=5))
    assert all(option.units % server == 0 for option in found.options)
    assert all(option.usd_per_month >= 0 for option in found.options)
    on_demand = by_id(found)["on-demand"]
    # A commitment of no replica is no option of its own: that is the way beside it.
    mixed = by_id(found).get("reserved-3y+on-demand", on_demand)
    assert mixed.usd_per_month <= on_demand.usd_per_month * (1 + 1e-9) + 1e-9
    assert all(option.units for option in found.options if option.mix.term_h)

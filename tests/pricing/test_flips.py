from __future__ import annotations

from dataclasses import replace

import pytest
from pricing_made_up import API, ON_DEMAND, ONE_YEAR, SPOT, THREE_YEARS, load_from, offers_of

from costaudit.pricing.cover import rows_of
from costaudit.pricing.flips import (
    break_evens,
    cheapest,
    factor_flips,
    utilization_flips,
)
from costaudit.pricing.mixes import mixes
from costaudit.pricing.risk import World, in_world

DAILY = [4.0 + 8.0 * (8 <= n % 24 < 20) for n in range(24 * 7)]
VALUE = 0.5 * 1.0 + 0.1 * 0.2 + 1.5 * 0.4  # of one replica-hour at the API


def test_the_use_below_which_the_api_wins():
    dear = replace(API, usd_per_1m_input=5.0, usd_per_1m_cached=1.0, usd_per_1m_output=15.0)
    found = utilization_flips(offers_of(ON_DEMAND, ONE_YEAR, SPOT, dear), rows_of(load_from(DAILY)))
    at = {flip.above: flip.at for flip in found}
    assert at == {
        "on-demand": pytest.approx(4.0 / (10 * VALUE)),
        "reserved-1y": pytest.approx(2.8 / (10 * VALUE)),
    }
    assert all(flip.below == dear.id for flip in found)
    # The flip is where a single replica of that use costs as much either way.
    share = at["on-demand"]
    rows = rows_of(load_from([share] * 24))
    for use, wins in ((0.98, dear.id), (1.02, "on-demand")):
        rows = rows_of(load_from([share * use] * 24))
        alone = [
            m for m in mixes(offers_of(ON_DEMAND, dear), rows) if m.id in {dear.id, "on-demand"}
        ]
        assert cheapest(rows, alone) == wins


def test_no_api_no_flip_and_no_load_no_flip():
    assert utilization_flips(offers_of(ON_DEMAND), rows_of(load_from(DAILY))) == ()
    assert utilization_flips(offers_of(ON_DEMAND, API), rows_of(load_from([0.0]))) == ()


def test_either_side_of_a_flip_another_mix_is_cheapest():
    load = load_from(DAILY)
    dear = replace(API, usd_per_1m_input=3.0, usd_per_1m_cached=0.5, usd_per_1m_output=9.0)
    found = mixes(offers_of(ON_DEMAND, ONE_YEAR, dear), rows_of(load))
    flips = {flip.id: flip for flip in factor_flips(load, found)}
    api = flips["api_price:down"]
    rows = rows_of(load)
    for factor, best in ((api.at * 0.98, api.below), (api.at * 1.02, api.above)):
        world = World(id="", tokens=factor)
        assert cheapest(rows, [in_world(mix, world) for mix in found]) == best
    volume = next(flip for flip in flips.values() if flip.what == "volume")
    for factor, best in ((volume.at * 0.98, volume.below), (volume.at * 1.02, volume.above)):
        assert cheapest(rows_of(load.scaled(volume=factor)), found) == best


def test_where_nothing_competes_nothing_flips():
    load = load_from(DAILY)
    only = [mix for mix in mixes(offers_of(ON_DEMAND), rows_of(load)) if mix.id == "on-demand"]
    assert factor_flips(load, only) == ()


def test_break_even_is_the_price_ratio_today():
    found = break_evens(offers_of(ON_DEMAND, THREE_YEARS))
    today = next(point for point in found if not point.fall_per_year_share)
    assert today.share == pytest.approx(1.7 / 4.0)
    falling = sorted(found, key=lambda point: point.fall_per_year_share)
    assert [p.share for p in falling] == sorted(p.share for p in falling)
    assert break_evens(offers_of(THREE_YEARS)) == ()

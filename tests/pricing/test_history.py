from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricing_made_up import ON_DEMAND, ONE_YEAR, THREE_YEARS, load_from

from costaudit.ground.errors import UsageError
from costaudit.pricing.cover import best_units, mix_usd, rows_of
from costaudit.pricing.history import MIN_HISTORY_DAYS, enough, no_regret_units, regret
from costaudit.pricing.stranded import USUAL_GAIN, Gain, stranded
from costaudit.pricing.way import Mix

MIX = Mix(id="mix", title="", committed=ONE_YEAR, hourly=(ON_DEMAND,))


def weeks(*levels):
    return load_from([level for level in levels for _ in range(7 * 24)])


def test_four_weeks_are_a_history():
    assert "insufficient history: 14.0 days" in enough(weeks(3, 3))
    assert enough(weeks(3, 3, 3, 3)) == ""
    assert MIN_HISTORY_DAYS == 28


def test_holes_do_not_count_as_history():
    load = weeks(3, 3, 3, 3)
    assert enough(load.part(range(20 * 24)))


def test_the_no_regret_amount_is_the_least_of_the_weeks():
    assert no_regret_units(weeks(9, 4, 7), MIX) == 4
    assert no_regret_units(load_from([8.0] * 24 + [5.0] * 24 + [6.0] * 24), MIX) == 5  # by day
    assert no_regret_units(load_from([8.0] * 24), MIX) == 0  # one day tells nothing of the next


@given(st.lists(st.integers(0, 30), min_size=2, max_size=6))
def test_no_week_regrets_the_no_regret_amount(levels):
    load = weeks(*levels)
    units = no_regret_units(load, MIX)
    assert units <= best_units(rows_of(load), MIX)
    for week in range(len(levels)):
        rows = rows_of(load.part(range(week * 168, week * 168 + 168)))
        assert mix_usd(rows, MIX, units) <= mix_usd(rows, MIX, 0) + 1e-9


def test_regret_is_paid_on_weeks_that_the_choice_has_not_seen():
    found = regret(weeks(10, 6), MIX)
    assert found is not None
    assert (found.chosen_units, found.best_units) == ((10,), (6,))
    # Ten reserved at 2.8 where six at 2.8 would have done; none would have cost six at 4.0.
    assert found.regret_share == pytest.approx(10 / 6 - 1)
    assert found.uncommitted_share == pytest.approx(4.0 / 2.8 - 1)
    assert found.peak_share == pytest.approx(10 / 6 - 1)
    steady = regret(weeks(5, 5, 5), MIX)
    assert steady is not None
    assert steady.parts == 2
    assert steady.regret_share == pytest.approx(0.0, abs=1e-12)


def test_a_short_history_is_judged_by_halves_and_a_day_not_at_all():
    halves = regret(load_from([6.0] * 48 + [3.0] * 48), MIX)
    assert halves is not None
    assert (halves.part_days, halves.chosen_units) == (2.0, (6,))
    assert regret(load_from([6.0] * 24), MIX) is None
    assert regret(weeks(1, 2), Mix(id="", title="", hourly=(ON_DEMAND,))) is None


def test_committing_before_the_gain_strands_what_it_frees():
    load = load_from([16.0] * 48)
    mix = Mix(id="", title="", committed=THREE_YEARS, hourly=(ON_DEMAND,))
    found = stranded(load, mix, USUAL_GAIN)
    assert (found.units_before, found.units_after) == (16, 10)
    assert found.per_month_usd == pytest.approx(6 * 1.7 * 730)
    assert found.term_months == pytest.approx(36)
    assert found.over_term_usd == pytest.approx(36 * found.per_month_usd)


@given(st.lists(st.floats(0, 40), min_size=24, max_size=72), st.floats(1.0, 5.0))
def test_engineering_first_is_never_dearer(fluid, factor):
    mix = Mix(id="", title="", committed=THREE_YEARS, hourly=(ON_DEMAND,))
    found = stranded(load_from(fluid), mix, Gain(factor=factor, source=""))
    assert found.gain_first_usd <= found.commit_first_usd * (1 + 1e-9) + 1e-9
    assert found.units_after <= found.units_before


def test_no_gain_and_no_contract_strand_nothing():
    load = load_from([3.0] * 24)
    with pytest.raises(UsageError):
        stranded(load, MIX, Gain(factor=0.5, source=""))
    with pytest.raises(UsageError):
        stranded(load, Mix(id="", title="", hourly=(ON_DEMAND,)), USUAL_GAIN)

"""Bounds, power and Holm: against textbook figures, simulation, and what must hold always."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.contrast.change import (
    ALPHA,
    POWER,
    Change,
    chance,
    from_pairs,
    high,
    holm,
    low,
    noise,
    smallest_seen,
)

CHANGES = st.builds(
    Change,
    log=st.floats(-0.5, 0.5),
    error=st.floats(1e-4, 0.2),
    freedom=st.sampled_from([1.0, 3.0, 7.0, 30.0, math.inf]),
    shown=st.floats(0, 0.2),
    hidden=st.floats(0, 0.2),
)


def test_the_t_interval_of_a_textbook():
    # t(0.99, 3) = 4.541 (any table); mean 0.02, s = 0.01 over four
    logs = [0.02 - 0.01 * math.sqrt(1.5) * sign for sign in (1, -1)] + [0.02, 0.02]
    change = from_pairs(logs)
    assert change.log == pytest.approx(0.02)
    assert change.error == pytest.approx(0.01 / 2)
    assert math.log1p(low(change)) == pytest.approx(0.02 - 4.541 * 0.005, abs=1e-5)


def test_one_pair_has_no_spread():
    with pytest.raises(ValueError, match="spread"):
        from_pairs([0.1])


@given(CHANGES)
def test_bounds_hold_the_change_and_agree_with_its_chance(change):
    assert low(change) <= change.share <= high(change)
    assert noise(change) >= 0
    assert (low(change) > 0) == (chance(change) < ALPHA)


@given(CHANGES, st.floats(0.001, 0.2), st.floats(0.01, 0.1))
def test_the_smallest_change_seen_grows_with_margin_and_doubt(change, margin, more):
    seen = smallest_seen(change, margin)
    assert seen > margin
    assert smallest_seen(change, margin + more) >= seen
    wider = Change(log=0, error=change.error * 2, freedom=change.freedom, shown=change.shown)
    narrow = Change(log=0, error=change.error, freedom=change.freedom, shown=change.shown)
    assert smallest_seen(wider, margin) > smallest_seen(narrow, margin)


def test_a_change_of_the_smallest_size_breaches_as_often_as_promised():
    rng, error, margin = random.Random(3), 0.01, 0.02
    true = math.log1p(smallest_seen(Change(log=0, error=error, freedom=math.inf), margin))
    seen = 0
    for _ in range(4000):
        change = Change(log=rng.gauss(true, error), error=error, freedom=math.inf)
        seen += low(change) > 0 and change.share > margin
    assert seen / 4000 == pytest.approx(POWER, abs=0.01)


def test_paired_rounds_raise_false_alarms_as_rarely_as_said():
    rng, alarms = random.Random(5), 0
    for _ in range(5000):
        change = from_pairs([rng.gauss(0, 0.03) for _ in range(8)])
        alarms += low(change) > 0
    assert alarms / 5000 == pytest.approx(ALPHA, abs=0.005)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_definition_rejects(chances):
    levels = holm(chances)
    rejected = {n for n, (p, level) in enumerate(zip(chances, levels, strict=True)) if p <= level}
    expected = set()
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[place] > ALPHA / (len(chances) - rank):
            break
        expected.add(place)
    assert rejected == expected


def test_holm_of_nothing_and_of_one():
    assert holm([]) == []
    assert holm([0.005]) == [ALPHA]
    assert holm([0.003, 0.004, 0.5]) == pytest.approx([ALPHA / 3, ALPHA / 2, ALPHA])

"""Percentiles of many numbers in little memory are those of all of them."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.stats import percentile
from costaudit.ground.tally import RELATIVE_ERROR, Tally, _bucket

SHARES = (0.0, 0.25, 0.5, 0.9, 0.99, 1.0)


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=100))
def test_few_values_are_exact(values):
    tally = Tally()
    tally.add_all(values)
    assert len(tally) == len(values)
    assert tally.percentiles(SHARES) == pytest.approx([percentile(values, s) for s in SHARES])


def test_many_values_are_off_by_a_hundredth_of_a_percent_at_most():
    draw = random.Random(3)
    values = [round(draw.lognormvariate(12, 1.5)) for _ in range(40_000)]
    tally = Tally()
    for start in range(0, len(values), 64):
        tally.add_all(values[start : start + 64])
    assert tally.folded
    for share, got in zip(SHARES, tally.percentiles(SHARES), strict=True):
        assert got == pytest.approx(percentile(values, share), rel=RELATIVE_ERROR, abs=0.5)
    assert len(tally) == len(values)


@given(st.lists(st.lists(st.integers(0, 2**20), max_size=50), min_size=2, max_size=2))
def test_what_is_absorbed_counts_as_if_counted_here(parts):
    one, other, both = Tally(), Tally(), Tally()
    one.add_all(parts[0])
    other.add_all(parts[1])
    both.add_all([*parts[0], *parts[1]])
    one.absorb(other)
    assert len(one) == len(both)
    if len(both):
        assert one.percentiles(SHARES) == both.percentiles(SHARES)


def test_memory_stays_flat():
    draw = random.Random(4)
    tally = Tally()
    sizes = []
    for _ in range(10):
        tally.add_all([draw.randrange(2**32) for _ in range(10_000)])
        sizes.append(sys.getsizeof(tally._counts))
    assert sizes[-1] <= sizes[len(sizes) // 2]
    assert len(tally._counts) < 200_000


@given(st.integers(0, 2**33))
def test_a_bucket_keeps_its_own_middle(value):
    middle = _bucket(value)
    assert abs(middle - value) <= RELATIVE_ERROR * value + 0.5
    assert _bucket(middle) == middle


def test_nothing_has_no_percentile():
    with pytest.raises(ValueError, match="nothing"):
        Tally().percentiles((0.5,))

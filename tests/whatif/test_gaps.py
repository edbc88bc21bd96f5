"""Distributions that are counted, not listed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.whatif.client_gaps import gap_spread
from costaudit.whatif.latency import Gaps, gaps_of, pooled
from costaudit.whatif.scheduler.gaps import BINS, bin_of, count_gaps


def counted(*runs):
    bins = [0] * BINS
    for run in runs:
        count_gaps(bins, *run)
    return gaps_of(bins)


def test_quantiles_are_right_to_half_a_percent():
    gaps = counted((0.010, 0.010, 90, 1), (0.5, 0.5, 10, 1))
    assert gaps.total == 100
    assert gaps.quantile_s(0.5) == pytest.approx(0.010, rel=0.006)
    assert gaps.quantile_s(0.9) == pytest.approx(0.010, rel=0.006)
    assert gaps.quantile_s(0.91) == pytest.approx(0.5, rel=0.006)
    assert gaps.mean_s == pytest.approx(0.059, rel=0.006)


@given(st.floats(1e-4, 1.0), st.floats(1.0, 3.0), st.integers(1, 500), st.integers(1, 9))
def test_a_run_that_grows_is_spread_over_its_sizes(first_s, factor, steps, rows):
    gaps = counted((first_s, first_s * factor, steps, rows))
    assert gaps.total == steps * rows
    assert gaps.seconds[0] >= first_s * 0.99
    assert gaps.seconds[-1] <= first_s * factor * 1.01
    if steps > 100:
        assert gaps.mean_s == pytest.approx(first_s * (1 + factor) / 2, rel=0.03)


def test_nothing_has_no_quantile():
    assert Gaps().quantile_s(0.5) is None
    assert Gaps().mean_s is None


def test_bins_end_where_nobody_waits_that_long():
    assert bin_of(0.0) == 0
    assert bin_of(1e9) == BINS - 1


def test_pools_add_up():
    one, other = counted((0.01, 0.01, 5, 1)), counted((0.01, 0.01, 2, 1), (0.3, 0.3, 1, 1))
    both = pooled([one, other])
    assert both.counts == (7, 1)
    assert both.seconds == tuple(sorted(both.seconds))


def test_what_clients_see_spreads_around_the_steps():
    exact = counted((0.010, 0.010, 70, 1), (0.050, 0.050, 30, 1))
    seen = replace(exact, spread=0.2)
    rng = random.Random(1)
    drawn = sorted(
        size * rng.lognormvariate(-(0.2**2) / 2, 0.2)
        for size in (0.010, 0.050)
        for _ in range(21_000 if size == 0.010 else 9_000)
    )
    for share in (0.1, 0.5, 0.75, 0.95):
        told = drawn[int(share * len(drawn))]
        assert seen.quantile_s(share) == pytest.approx(told, rel=0.03)
    assert exact.quantile_s(0.5) < seen.quantile_s(0.5) < exact.quantile_s(0.9)
    assert seen.quantile_s(1.0) == exact.quantile_s(1.0)  # the longest is not made up
    assert pooled([exact, seen]).spread == 0.2


@given(st.sampled_from((0.0, 0.1, 0.25, 0.4)), st.floats(0.2, 0.8))
def test_the_spread_is_found_again(spread, mixed):
    steps = counted(
        (0.010, 0.012, round(1000 * (1 - mixed)), 1), (0.03, 0.05, round(1000 * mixed), 1)
    )
    true = replace(steps, spread=spread)
    seen = {share: true.quantile_s(share) for share in (0.2, 0.35, 0.5, 0.65, 0.8)}
    assert gap_spread([(steps, seen, 1.0)]) == pytest.approx(spread, abs=0.05)


def test_tokens_that_came_together_tell_nothing_of_the_spread():
    steps = counted((0.010, 0.010, 100, 1))
    seen = {0.2: 0.0, 0.35: 0.0, 0.5: 0.01, 0.65: 0.01, 0.8: 0.01}
    assert gap_spread([(steps, seen, 1.0)]) == 0.0
    assert gap_spread([(steps, {}, 1.0), (Gaps(), seen, 1.0)]) == 0.0

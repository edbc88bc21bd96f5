"""Relative lines: broken, passed or undecided, and why."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sides import line, observed

from costaudit.contrast.change import ALPHA, low
from costaudit.gate.confirm import judge_twice
from costaudit.gate.shift import judge_margins, of_pairs, of_recordings
from costaudit.gate.verdict import Result
from costaudit.ground.errors import UsageError

PRIMARY = "usd_per_1m_tokens"


def judged(new, *lines, base=None):
    return judge_margins(of_recordings([base or observed()], [new]), lines or [line()])


@pytest.mark.parametrize(
    ("factor", "margin", "result"),
    [
        (1.0, 0.1, "passed"),  # 2 % a run assumed: the bound is 6.8 % above the estimate
        (1.02, 0.1, "passed"),
        (1.05, 0.1, "inconclusive"),  # may be 12 %, and may be nothing
        (1.09, 0.05, "broken"),
        (1.05, 0.02, "inconclusive"),  # beyond the margin, not beyond the bound
        (1.2, 0.1, "broken"),
        (1.0, 0.05, "inconclusive"),  # the noise is above the margin
        (0.8, 0.05, "passed"),  # so much better that no noise matters
    ],
)
def test_broken_beyond_bound_and_margin_passed_within_the_margin(factor, margin, result):
    (shift,) = judged(observed(factor), line(margin=margin))
    assert shift.result == result
    assert bool(shift.why) == (result == "inconclusive")


@given(st.floats(0.8, 1.3), st.floats(0.01, 0.2), st.floats(0, 0.5), st.floats(0, 0.5))
def test_never_broken_without_both_and_never_passed_beyond(factor, margin, old, new):
    (shift,) = judged(
        observed(factor, contention_share=new),
        line(margin=margin),
        base=observed(contention_share=old),
    )
    if shift.result is Result.BROKEN:
        assert shift.change.share > margin
        assert low(shift.change) > 0
    if shift.result is Result.PASSED:
        assert shift.change.share <= margin


def test_a_build_that_beats_its_baseline_leaves_slack():
    (shift,) = judged(observed(0.8), line())
    assert shift.better
    (shift,) = judged(observed(1.0), line())
    assert not shift.better


def test_another_machine_decides_nothing_about_time_but_counters_still_count():
    other = observed(1.5, environment=observed().environment | {"device": "A100"})
    time, counter = judged(other, line(), line("computed_tokens", margin=0))
    assert time.result is Result.INCONCLUSIVE
    assert "another device" in time.why
    assert counter.result is Result.PASSED


@pytest.mark.parametrize(
    ("after", "margin", "result"),
    [
        (300, 0, "passed"),
        (301, 0, "broken"),
        (299, 0, "broken"),
        (301, 0.01, "passed"),
        (297, 0.01, "passed"),
        (296.9, 0.01, "broken"),
    ],
)
def test_counters_are_held_in_both_directions(after, margin, result):
    new = observed(counters=observed().counters | {"computed_tokens": after})
    (shift,) = judged(new, line("computed_tokens", margin=margin))
    assert shift.result == result


def test_a_counter_that_was_zero_may_not_appear():
    new = observed(counters={"preemptions": 1.0})
    assert judged(new, line("preemptions", margin=0.5))[0].result is Result.BROKEN
    assert judged(observed(), line("preemptions", margin=0))[0].result is Result.PASSED


def test_what_nobody_recorded_is_undecided():
    counter, time = judged(observed(), line("kernel_launches"), line("itl_p99_s"))
    assert counter.result is time.result is Result.INCONCLUSIVE
    assert "baseline" in counter.why
    assert "both sides" in time.why


def test_a_counter_that_does_not_repeat_is_called_out():
    base = [observed(), observed(counters={"computed_tokens": 330.0})]
    evidence = of_recordings(base, [observed(counters={"computed_tokens": 315.0})])
    (shift,) = judge_margins(evidence, [line("computed_tokens", margin=0.01)])
    assert "300 to 330" in shift.note


def test_a_margin_on_what_nobody_knows_the_spread_of():
    with pytest.raises(UsageError, match="no margin can be set on 'decode_mbu'") as caught:
        judged(observed(), line("decode_mbu"))
    assert caught.value.hint


def test_secondary_timings_share_one_level_of_false_alarms():
    lines = [line(), line("itl_p95_s"), line("ttft_p50_s"), line("decode_s_per_1m_tokens")]
    shifts = judged(observed(1.0), *lines)
    assert shifts[0].alpha == ALPHA
    assert min(s.alpha for s in shifts[1:]) == pytest.approx(ALPHA / 3)


def test_many_lines_raise_no_more_false_alarms_than_one():
    rng, broken = random.Random(2), 0
    metrics = ("prefill_s_per_1m_tokens", "decode_s_per_1m_tokens", "itl_p95_s", "ttft_p50_s")
    for _ in range(1500):
        logs = {m: [rng.gauss(0, 0.02) for _ in range(8)] for m in metrics}
        evidence = of_pairs(logs, before={}, after={})
        shifts = judge_margins(evidence, [line(m, margin=0) for m in metrics])
        broken += any(s.result is Result.BROKEN for s in shifts)
    assert broken / 1500 <= 2 * ALPHA


def pairs(mid, spread=0.005):
    logs = [mid + spread * sign for sign in (1, -1) * 4]
    return of_pairs({PRIMARY: logs}, before={}, after={})


@pytest.mark.parametrize(
    ("first", "second", "pooled", "result", "told"),
    [
        (0.08, 0.08, 0.08, "broken", "a second run says so too"),
        (0.08, 0.0, 0.04, "passed", "one of two runs"),
        (0.08, 0.02, 0.07, "inconclusive", "one of two runs"),
    ],
)
def test_an_alarm_counts_when_it_is_confirmed(first, second, pooled, result, told):
    (shift,) = judge_twice(
        pairs(first), [line(margin=0.05)], again=lambda: (pairs(second), pairs(pooled))
    )
    assert shift.result == result
    assert told in shift.note


def test_nothing_is_measured_again_without_an_alarm():
    def never():
        raise AssertionError

    (shift,) = judge_twice(pairs(0.0), [line(margin=0.05)], again=never)
    assert shift.result is Result.PASSED
    evidence = of_pairs(
        {}, before={"kv_bytes_per_token": [1.0]}, after={"kv_bytes_per_token": [2.0]}
    )
    (shift,) = judge_twice(evidence, [line("kv_bytes_per_token", margin=0)], again=never)
    assert shift.result is Result.BROKEN


def test_a_phase_that_took_no_time_has_no_change():
    evidence = of_pairs({PRIMARY: [math.nan, 0.1]}, before={}, after={})
    (shift,) = judge_margins(evidence, [line()])
    assert shift.result is Result.INCONCLUSIVE

"""The definitions of latency, on answers whose latencies are known by arithmetic."""

from __future__ import annotations

import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.stats import P99_MIN_SAMPLES, percentile
from costaudit.measure.latency import Delays, Latencies, enough
from costaudit.recording.rows import Answer


def packed(kind, numbers):
    made = array(kind, numbers)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def answer(times_ms, tokens=None, **more):
    total = None if tokens is None else sum(tokens)
    ones = tokens is None or set(tokens) == {1}
    fields = {
        "task": "r",
        "number": 0,
        "intended_s": 0.0,
        "sent_s": 0.0,
        "end_s": (times_ms[-1] if times_ms else 0) / 1e3,
        "prompt_tokens": 10,
        "asked_tokens": 64,
        "output_tokens": total,
        "cached_tokens": None,
        "finish_reason": "length",
        "status": 200,
        "error": "",
        "truncated": False,
        "shared_events": 0,
        "lag_s": 0.0,
        "event_us": packed("I", [round(1000 * each) for each in times_ms]),
        "event_tokens": b"" if ones else packed("H", tokens),
    }
    return Answer(**fields | more)


def seen(*answers, open_loop=False):
    latencies = Latencies(open_loop=open_loop)
    for each in answers:
        latencies.add(each)
    return latencies


def test_one_token_an_event():
    got = seen(answer([200, 220, 240, 300], [1, 1, 1, 1]))
    assert got.ttft.spread().p50.value_s == pytest.approx(0.2)
    assert got.itl.spread().p50.value_s == pytest.approx(0.02)
    assert got.itl.spread().samples == 3
    assert got.tpot.spread().p50.value_s == pytest.approx(0.1 / 3, abs=1e-6)
    assert got.e2e.spread().p50.value_s == pytest.approx(0.3)


def test_four_tokens_an_event():
    got = seen(answer([200, 280, 360], [4, 4, 4]))
    assert got.itl.spread().p50.value_s == got.itl.spread().p99.value_s == pytest.approx(0.02)
    assert got.itl.spread().samples == 8
    assert got.tpot.spread().p50.value_s == pytest.approx(0.02)
    assert got.chunk_gap.spread().p50.value_s == pytest.approx(0.08)


def test_an_event_without_a_token_hands_its_wait_on():
    got = seen(answer([100, 110, 130, 140], [1, 0, 1, 0]))
    assert got.itl.spread().samples == 1
    assert got.itl.spread().p50.value_s == pytest.approx(0.03)


def test_a_stall_is_not_spread_over_the_burst_behind_it():
    got = seen(answer([100, 600, 600, 600, 600], [1, 1, 1, 1, 1]))
    assert got.itl.spread().samples == 4
    assert got.itl.spread().p99.value_s > 0.48
    assert got.itl.spread().p50.value_s == 0


def test_one_event_has_no_gap():
    got = seen(answer([100], [5]))
    assert got.itl.spread().samples == got.tpot.spread().samples == 0
    assert got.itl.spread().p50 is None
    assert got.ttft.spread().samples == 1


def test_unknown_tokens_give_gaps_but_no_itl():
    got = seen(answer([100, 120, 140]))
    assert got.untold == 1
    assert got.itl.spread().samples == got.tpot.spread().samples == 0
    assert got.chunk_gap.spread().samples == 2
    assert got.output_tokens == 0


def test_an_open_loop_counts_from_the_intended_start():
    late = answer([100, 120], [1, 1], intended_s=1.0, sent_s=1.5, end_s=1.62)
    assert seen(late).ttft.spread().p50.value_s == pytest.approx(0.1)
    opened = seen(late, open_loop=True)
    assert opened.ttft.spread().p50.value_s == pytest.approx(0.6)
    assert opened.e2e.spread().p50.value_s == pytest.approx(0.62)
    assert opened.itl.spread().p50.value_s == pytest.approx(0.02)


@pytest.mark.parametrize("wrong", [{"error": "HTTP 500: x"}, {"truncated": True, "error": "cut"}])
def test_what_failed_is_counted_but_not_timed(wrong):
    got = seen(answer([100, 120], [1, 1], **wrong), answer([200, 220], [1, 1]))
    assert (got.failed, got.answers, got.ttft.spread().samples) == (1, 1, 1)
    assert list(got.errors.values()) == [1]


def test_different_errors_are_bounded():
    got = seen(*[answer([], [], error=f"error {n}") for n in range(1000)])
    assert len(got.errors) < 100
    assert got.failed == 1000


def test_each_percentile_has_its_bound():
    got = seen(*[answer([100, 120], [1, 1], lag_s=0.001) for _ in range(9)])
    assert got.ttft.spread().p99.client_error_s == pytest.approx(0.001)
    assert got.itl.spread().p99.client_error_s == pytest.approx(0.001)


def test_without_kernel_stamps_the_bound_is_unknown():
    got = seen(answer([100, 120], [1, 1], lag_s=0.001), answer([100, 120], [1, 1], lag_s=None))
    assert got.ttft.spread().p50.client_error_s is None


def test_enough_is_662_for_p99():
    assert enough(P99_MIN_SAMPLES, 0.99)
    assert not enough(P99_MIN_SAMPLES - 1, 0.99)
    assert not enough(0, 0.5)
    assert enough(11, 0.5)


@given(st.sampled_from([0.5, 0.9, 0.99]), st.integers(1, 2000))
def test_more_samples_are_never_less_enough(share, samples):
    assert enough(samples, share) <= enough(samples + 1, share)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=200), st.integers(0, 10**5))
def test_percentiles_are_those_of_the_whole_list(values, lag):
    delays = Delays()
    delays.add_all(values, lag)
    spread = delays.spread()
    for got, share in ((spread.p50, 0.5), (spread.p90, 0.9), (spread.p99, 0.99)):
        assert got.value_s == pytest.approx(percentile(values, share) / 1e6)
        assert got.client_error_s == pytest.approx(lag / 1e6, abs=1e-9)

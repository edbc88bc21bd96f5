import random
from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.steady import steady_rate
from costaudit.record.probing.steady import Steady
from costaudit.recording.rows import Answer


def answer(number, sent_s, ttft_s, gap_s, tokens):
    us = [round((ttft_s + n * gap_s) * 1e6) for n in range(tokens)]
    return Answer(
        task="replay",
        number=number,
        intended_s=sent_s,
        sent_s=sent_s,
        end_s=sent_s + us[-1] / 1e6,
        prompt_tokens=10,
        asked_tokens=tokens,
        output_tokens=tokens,
        cached_tokens=None,
        finish_reason="length",
        status=200,
        error="",
        truncated=False,
        shared_events=0,
        lag_s=0.0,
        event_us=array("I", us).tobytes(),
        event_tokens=b"",
    )


def closed_loop(streams, seconds, *, gap_s=0.02, tokens=20, jitter=0.0, seed=1):
    rng, number, answers = random.Random(seed), 0, []
    for _ in range(streams):
        clock = 0.0
        while clock < seconds:
            gap = gap_s * (1 + jitter * rng.uniform(-1, 1))
            answers.append(answer(number, clock, 0.05, gap, tokens))
            clock, number = answers[-1].end_s, number + 1
    return sorted(answers, key=lambda a: a.end_s)


def watched(answers, *, cycle=10, half_share=0.05, longest_s=100.0, streams=4):
    now = [0.0]
    steady = Steady(
        concurrency=streams,
        cycle=cycle,
        half_share=half_share,
        longest_s=longest_s,
        clock_s=lambda: now[0],
    )
    steady.stop()
    for one in answers:
        now[0] = max(now[0], one.end_s)
        steady.watch(one)
        if why := steady.stop():
            return steady, why, now[0]
    return steady, "", now[0]


def test_the_rate_of_a_steady_loop_is_its_tokens_per_second():
    steady, why, at_s = watched(closed_loop(4, 30.0))
    assert why == "the interval is narrow enough"
    life_s = 0.05 + 19 * 0.02
    assert steady.rate().per_s == pytest.approx(4 * 30 / life_s, rel=0.03)
    assert at_s < 30.0


def test_goes_on_while_the_interval_is_wide_and_ends_by_time():
    rough = closed_loop(2, 60.0, jitter=0.95, tokens=40, seed=3)
    steady, why, at_s = watched(rough, half_share=1e-4, longest_s=8.0, streams=2)
    assert why == "the time for the replay is over"
    assert at_s + steady.life_s >= 8.0 > at_s  # what is sent last ends in time


def test_those_that_begin_together_do_not_shorten_the_replay():
    """All prompts at once: the first answers take three times as long as any later one."""
    first = [answer(n, 0.0, 4.0, 0.05, 20) for n in range(4)]
    later = [answer(4 + n, 5.0 + 1.5 * n, 0.5, 0.05, 20) for n in range(20)]
    _, why, at_s = watched([*first, *later], half_share=1e-9, longest_s=20.0)
    assert why == "the time for the replay is over"
    assert 20.0 - 2 * 1.5 < at_s + 1.45 <= 20.0 + 1.5


def test_once_nothing_more_is_sent_the_window_ends_while_all_streams_were_busy():
    answers = [a for a in closed_loop(4, 9.0, jitter=0.5) if a.sent_s < 6.0]
    steady = watched(answers, half_share=1e-9)[0]
    assert max(a.end_s for a in answers) > 6.0
    assert 5.0 < steady.rate().to_s <= 6.0


def test_at_the_end_the_window_reaches_to_the_last_request_sent():
    """Long answers: one life of them may be most of the replay."""
    answers = [a for a in closed_loop(4, 9.0, gap_s=0.1, jitter=0.3) if a.sent_s < 6.0]
    steady = watched(answers, half_share=1e-9)[0]
    rate, life_s = steady.rate(ended=True), 0.05 + 19 * 0.1
    assert rate.to_s == max(a.sent_s for a in answers) > steady.rate().to_s
    assert rate.per_s == pytest.approx(4 * 30 / life_s, rel=0.2)
    steady.watch(replace(answers[-1], error="cut off"))
    assert steady.rate(ended=True).to_s == steady.rate().to_s


def test_spans_a_whole_cycle_of_the_workload():
    steady, why, _ = watched(closed_loop(4, 30.0), cycle=80)
    assert why
    assert len(steady.ends_s) >= 80 + 4


def test_a_look_costs_by_time_and_not_by_tokens():
    few = watched(closed_loop(4, 20.0), half_share=1e-9)[0]
    many = watched(closed_loop(4, 20.0, gap_s=0.0002, tokens=2_000), half_share=1e-9)[0]
    assert sum(many.tokens.values()) > 50 * sum(few.tokens.values())
    assert len(many.tokens) < 1.1 * 20.0 / 0.005
    assert many.rate().per_s == pytest.approx(4 * 2_010 / (0.05 + 1_999 * 0.0002), rel=0.03)


def test_failed_answers_count_for_nothing():
    steady = Steady(concurrency=1, cycle=1, half_share=0.05, longest_s=1.0)
    good = answer(0, 0.0, 0.1, 0.1, 3)
    failed = Answer(**{**{f: getattr(good, f) for f in good.__slots__}, "error": "no"})
    steady.watch(failed)
    assert steady.rate() is None


@given(st.lists(st.floats(0, 9.999), min_size=1, max_size=300), st.floats(0.1, 50))
def test_the_rate_is_amount_over_time(instants, amount):
    rate = steady_rate(instants, [amount] * len(instants), from_s=0.0, to_s=10.0)
    assert rate.per_s == pytest.approx(amount * len(instants) / 10.0)
    assert rate.half_share >= 0


def test_no_rate_of_nothing():
    assert steady_rate([], [], from_s=0.0, to_s=1.0) is None
    assert steady_rate([1.0], [1.0], from_s=2.0, to_s=2.0) is None

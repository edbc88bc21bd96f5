"""When the tokens of an answer count: a rate must not swing by where its window begins."""

from array import array

import pytest

from costaudit.ground.steady import steady_rate
from costaudit.recording.answers import token_flow
from costaudit.recording.rows import Answer


def answer(sent_s, *, ttft_s=0.8, prompt=512, tokens=4, gap_s=0.05):
    us = [round((ttft_s + n * gap_s) * 1e6) for n in range(tokens)]
    return Answer(
        task="replay",
        number=0,
        intended_s=sent_s,
        sent_s=sent_s,
        end_s=sent_s + us[-1] / 1e6,
        prompt_tokens=prompt,
        asked_tokens=tokens,
        output_tokens=tokens,
        cached_tokens=None,
        finish_reason="length",
        status=200,
        error="",
        truncated=False,
        shared_events=0,
        lag_s=None,
        event_us=array("I", us).tobytes(),
        event_tokens=b"",
    )


def test_every_token_counts_once():
    at_s, tokens = token_flow(answer(3.0))
    assert sum(tokens) == 512 + 4
    assert at_s == sorted(at_s)
    assert min(at_s) > 3.0


def test_a_prompt_of_unknown_length_is_left_out():
    assert token_flow(answer(0.0, prompt=None, tokens=2))[1] == [1, 1]


def test_prompts_that_come_in_together_leave_the_rate_narrow():
    """Four prompts of 512 tokens in each step of 0.8 s, for twelve steps."""
    flows = [token_flow(answer(0.8 * step)) for step in range(14) for _ in range(4)]
    at_s, tokens = [[x for flow in flows for x in flow[side]] for side in (0, 1)]
    for from_s in (1.0, 1.3, 1.6):
        rate = steady_rate(at_s, tokens, from_s=from_s, to_s=from_s + 9.0)
        assert rate.per_s == pytest.approx(4 * 516 / 0.8, rel=0.05)
        assert rate.half_share < 0.1

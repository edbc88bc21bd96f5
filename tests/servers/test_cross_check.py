"""Client and server tell of the same span, or it is said where they do not."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from costaudit.measure.cross_check import cross_check
from costaudit.measure.server import Latencies, Own, ServerSpan
from costaudit.recording.rows import Answer

ANSWER = Answer(
    task="t", number=0, intended_s=0, sent_s=0, end_s=1, prompt_tokens=10, asked_tokens=3,
    output_tokens=3, cached_tokens=None, finish_reason="length", status=200, error="",
    truncated=False, shared_events=0, lag_s=None, event_us=struct.pack("<3I", 101_000, 2, 3),
    event_tokens=b"",
)  # fmt: skip
SPAN = ServerSpan(
    from_s=0, to_s=2, scrapes=3, requests=2, prompt_tokens=20, generated_tokens=6,
    latencies=Latencies(ttft_s=0.1, queue_s=0.01),
)  # fmt: skip


def test_both_sides_agree():
    found = cross_check(SPAN, [ANSWER, ANSWER])
    assert (found.token_difference, found.prompt_token_difference) == (0, 0)
    assert found.outside_s == pytest.approx(0.001)
    assert found.agrees is True


def test_what_does_not_agree_is_said():
    lost = cross_check(replace(SPAN, generated_tokens=7), [ANSWER, ANSWER])
    assert (lost.agrees, lost.token_difference) == (False, 1)
    far = cross_check(replace(SPAN, latencies=Latencies(ttft_s=0.05)), [ANSWER, ANSWER])
    assert far.agrees is False
    assert "51.0 ms" in far.why


def test_what_cannot_be_told_is_no_verdict():
    assert cross_check(SPAN, [ANSWER]).agrees is None  # one request was another's
    assert cross_check(replace(SPAN, latencies=Latencies()), [ANSWER, ANSWER]).agrees is None
    assert cross_check(SPAN, []).agrees is None
    unknown = replace(ANSWER, output_tokens=None)
    assert cross_check(SPAN, [unknown, ANSWER]).token_difference is None


def test_a_request_of_ours_that_was_cut_is_not_another_s():
    cut = replace(ANSWER, error="cut", output_tokens=None, end_s=None, truncated=True)
    own = Own(requests=3, prompt_tokens=20, output_tokens=6, unseen_output_tokens=3)
    found = cross_check(replace(SPAN, requests=3), [ANSWER, ANSWER, cut], own=own)
    assert (found.agrees, found.why) == (True, "")
    more = cross_check(replace(SPAN, requests=4), [ANSWER, ANSWER, cut], own=own)
    assert more.why == "others sent 1 of the requests in this span"


def test_what_the_front_end_takes_explains_a_part():
    far = cross_check(
        replace(SPAN, latencies=Latencies(ttft_s=0.05)), [ANSWER, ANSWER], front_end_s=0.0021
    )
    assert "its front end takes 2.1 ms" in far.why
    near = cross_check(SPAN, [ANSWER, ANSWER], front_end_s=0.0021)
    assert near.why == ""

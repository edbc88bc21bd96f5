"""The p95 of the TTFTs, like with like, and the end of the run where it has worsened."""

import pytest

from costaudit.cli.server import with_abort
from costaudit.ground.errors import UsageError
from costaudit.record.probing.guard import Guard
from costaudit.record.probing.options import Limits
from costaudit.record.probing.slowing import FIRST, WINDOW


def guard(**limits):
    return Guard(limits=Limits(**limits), waiting=lambda: None)


def answer_all(one, ttft_s, number, *, kind="replay", rung="replay"):
    for _ in range(number):
        one.slowing.note(kind, rung, ttft_s)


def test_a_server_that_gets_slower_ends_the_run():
    one = guard(p95_factor=4.0)
    answer_all(one, 0.1, FIRST)
    answer_all(one, 0.12, WINDOW)
    assert one.stop() == ""
    answer_all(one, 0.6, WINDOW)
    assert "6.0 times" in one.stop()


def test_one_burst_that_was_held_up_does_not():
    one = guard(p95_factor=4.0)
    answer_all(one, 0.1, FIRST)
    answer_all(one, 0.1, WINDOW - 3)
    answer_all(one, 9.0, 3)
    assert one.stop() == ""


def test_larger_probes_are_not_taken_for_a_slower_server():
    one = guard(p95_factor=4.0)
    for number, ttft_s in enumerate((0.01, 0.1, 1.0, 10.0)):
        for turn in range(20):
            answer_all(one, ttft_s, 3, kind=f"prefill-{number}", rung=f"prefill-{number}#{turn}")
    assert one.stop() == ""


def test_milliseconds_are_the_operating_system_s():
    one = guard(p95_factor=2.0)
    answer_all(one, 0.002, FIRST)
    answer_all(one, 0.03, WINDOW)
    assert one.stop() == ""


def test_no_factor_no_end():
    one = guard(p95_factor=None)
    answer_all(one, 0.1, FIRST)
    answer_all(one, 60.0, WINDOW)
    assert one.stop() == ""


@pytest.mark.parametrize(
    ("text", "waiting", "factor"),
    [("32", 32, 10.0), ("8,3x", 8, 3.0), ("2.5X", 32, 2.5), (" 1 , 4x ", 1, 4.0)],
)
def test_the_flag_names_a_queue_a_factor_or_both(text, waiting, factor):
    limits = with_abort(Limits(), text)
    assert (limits.waiting, limits.p95_factor) == (waiting, factor)


@pytest.mark.parametrize("text", ["", "many", "x", "3y"])
def test_what_is_no_such_flag_is_said(text):
    with pytest.raises(UsageError, match="abort-at"):
        with_abort(Limits(), text)

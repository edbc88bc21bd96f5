import math

import pytest

from costaudit.audit.calibration import repeat_share
from costaudit.measure.loads import ServedLoad
from costaudit.recording.rows import RequestRow
from costaudit.whatif.seen_load import BRIEF_S


def load(*rounds_s, concurrency=2, answered=None):
    row = RequestRow(
        task="t",
        batch=0,
        prompt_tokens=10,
        output_tokens=4,
        prefix_id=None,
        prefix_tokens=0,
        ttft_s=None,
        e2e_s=None,
    )
    return ServedLoad(
        name="burst",
        purpose="step",
        concurrency=concurrency,
        requests=(row,) * concurrency,
        first=0,
        end=concurrency,
        answered=answered or concurrency * len(rounds_s),
        e2e_s=(sorted(rounds_s)[len(rounds_s) // 2],) * concurrency,
        ttft_p50_s=0.1,
        itl_p50_s=None,
        rounds_s=rounds_s,
    )


def test_nothing_is_known_of_what_was_sent_once():
    assert repeat_share([load(1.0)]) is None
    assert repeat_share([]) is None


def test_equal_rounds_repeat_exactly():
    assert repeat_share([load(1.0, 1.0, 1.0)]) == pytest.approx(0.0)


def test_a_long_load_that_differs_counts_as_it_is():
    found = repeat_share([load(1000.0, 1000.0 * math.exp(0.1))])
    assert found == pytest.approx(0.1 / math.sqrt(2), rel=0.01)


def test_a_brief_load_is_allowed_to_differ_more():
    long, brief = load(1000.0, 1100.0), load(0.1, 0.11)
    expected = math.sqrt(1 + BRIEF_S / 0.11)
    assert repeat_share([long]) / repeat_share([brief]) == pytest.approx(expected, rel=0.01)

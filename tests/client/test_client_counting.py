"""Tokens of events: what usage says is shared out, and what a record's numbers hold."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.record.client.transcript import count_tokens, pack


@pytest.mark.parametrize(
    ("told", "total", "expected"),
    [
        ([-1, -1, -1, -1], 16, (16, [4, 4, 4, 4])),
        ([-1, -1, -1], 4, (4, [1, 2, 1])),
        ([-1, -1], None, (None, [])),
        ([3, 1], None, (4, [3, 1])),
        ([3, 1], 4, (4, [3, 1])),
        ([3, 1], 8, (8, [6, 2])),
        ([0, 0], 4, (4, [2, 2])),
        ([2, -1], 4, (4, [2, 2])),
        ([-1, -1, -1], 1, (1, [0, 1, 0])),
        ([], 5, (5, [])),
        ([], None, (None, [])),
    ],
)
def test_tokens_of_events(told, total, expected):
    assert count_tokens(array("q", told), total) == expected


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(0, 10_000))
def test_parts_sum_to_the_total(told, total):
    _, parts = count_tokens(array("q", told), total)
    assert sum(parts) == total
    assert min(parts) >= 0


def test_more_tokens_than_a_uint16_holds():
    us, tokens = pack(array("I", [5, 9]), [150_000, 2])
    assert [*array("I", us)] == [5, 5, 5, 9]
    assert [*array("H", tokens)] == [65_535, 65_535, 18_930, 2]

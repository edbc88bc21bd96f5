"""Speed-ups of low-precision kernels by the work that they get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook_situation import SHAPE, scenario

from costaudit.playbook.kernels import (
    UNKNOWN_ROWS,
    cache_bytes_per_kernel,
    decoding_rows,
    over_products,
    speedup,
)
from costaudit.playbook.steps import kv_cache_quantization, w8a8, weight_quantization

CURVES = [w8a8.BY_ROWS, weight_quantization.BY_ROWS, kv_cache_quantization.BY_BYTES]


@pytest.mark.parametrize("curve", CURVES)
@given(st.floats(1, 1e12))
def test_a_speed_up_lies_between_those_of_its_neighbours(curve, size):
    low, high = speedup(curve, size)
    assert low <= high
    assert min(low for _, low, _ in curve) <= low <= max(low for _, low, _ in curve)


@pytest.mark.parametrize("curve", CURVES)
def test_measured_points_are_met_and_the_ends_go_on(curve):
    for size, low, high in curve:
        assert speedup(curve, size) == pytest.approx((low, high))
    assert speedup(curve, curve[-1][0] * 1e6) == curve[-1][1:]


def test_four_bits_win_at_few_rows_and_eight_at_many():
    few, many = (
        [speedup(curve, rows)[0] for curve in (weight_quantization.BY_ROWS, w8a8.BY_ROWS)]
        for rows in (32, 64)
    )
    assert few[0] > few[1]
    assert many[0] < many[1]


def test_rows_and_bytes_are_those_of_the_traffic():
    rows = [{"prompt_tokens": 1000, "output_tokens": 200}]
    closed = scenario({"traffic": {"requests": rows, "concurrency": 16}})
    assert decoding_rows(closed) == 16
    per_token = 2 * SHAPE.kv_heads * SHAPE.head_dim * 2
    assert cache_bytes_per_kernel(closed) == pytest.approx(16 * 1100 * per_token)
    opened = scenario({"traffic": {"requests": rows, "concurrency": 0}})
    assert decoding_rows(opened) == UNKNOWN_ROWS
    assert cache_bytes_per_kernel(opened) == pytest.approx(1100 * per_token)


def test_products_of_prompts_and_answers_are_weighed_by_their_tokens():
    curve = ((1, 1.0, 1.0), (1000, 4.0, 4.0))
    rows = [{"prompt_tokens": 1000, "output_tokens": 1000}]
    assert over_products(
        curve, scenario({"traffic": {"requests": rows, "concurrency": 1}})
    ) == pytest.approx((1.6, 1.6))

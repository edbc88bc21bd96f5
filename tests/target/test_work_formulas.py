"""The formulas of work: against published models, brute force, and each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.target.from_config import shape_from_config
from costaudit.target.load import StepLoad, decode_load, prefill_load
from costaudit.target.shape import Experts, LatentAttention, ModelShape
from costaudit.target.work import (
    active_params,
    decode_flops,
    decode_kv_bytes,
    kv_bytes,
    kv_bytes_per_token,
    prefill_flops,
    read_params,
    total_params,
)

PUBLISHED = json.loads((Path(__file__).parent / "published_models.json").read_text())["models"]


def shape(**other) -> ModelShape:
    plain = {
        "name": "toy",
        "architecture": "Toy",
        "layers": 3,
        "hidden": 32,
        "ffn": 48,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 8,
        "vocab": 100,
        "max_context_tokens": 512,
    }
    return ModelShape(**{**plain, **other})


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_models_have_the_published_numbers(model):
    known = PUBLISHED[model]
    found = shape_from_config(known["config"], name=model)
    assert total_params(found) / 1e9 == pytest.approx(known["params_billions"], rel=0.005)
    assert read_params(found, 1) / 1e9 == pytest.approx(
        known["decode_read_params_billions"], rel=0.005
    )
    assert kv_bytes_per_token(found, 2) == known["kv_bytes_per_token_fp16"]
    beyond = kv_bytes(found, 100_001, 2) - kv_bytes(found, 100_000, 2)
    assert beyond == known["kv_bytes_per_token_beyond_windows"]


def test_counted_parameters_win_over_the_formula():
    assert total_params(shape(params=12345)) == 12345


@given(
    new=st.integers(1, 40),
    cached=st.integers(0, 40),
    seqs=st.integers(1, 3),
    windows=st.lists(st.none() | st.integers(1, 50), min_size=3, max_size=3).map(tuple),
)
def test_prefill_attention_counts_every_pair_once(new, cached, seqs, windows):
    toy = shape(windows=windows)
    pairs = sum(min(cached + i, w or cached + i) for w in windows for i in range(1, new + 1))
    linear = 2 * active_params(toy) * new + 2 * toy.hidden * toy.vocab
    expected = seqs * (linear + 4 * toy.heads * toy.head_dim * pairs)
    load = prefill_load(new_tokens=new, cached_tokens=cached, seqs=seqs)
    assert prefill_flops(toy, load) == pytest.approx(expected, rel=1e-12)


@given(
    context=st.integers(0, 80),
    seqs=st.integers(1, 5),
    windows=st.lists(st.none() | st.integers(1, 50), min_size=3, max_size=3).map(tuple),
)
def test_a_prompt_of_one_token_is_a_decode_step(context, seqs, windows):
    toy = shape(windows=windows)
    as_prompt = prefill_load(new_tokens=1, cached_tokens=context, seqs=seqs)
    as_decode = decode_load(seqs=seqs, context_tokens=context)
    assert decode_flops(toy, as_decode) == pytest.approx(prefill_flops(toy, as_prompt), rel=1e-12)


@given(context=st.integers(0, 200), window=st.integers(2, 64), seqs=st.integers(1, 4))
def test_a_windowed_layer_holds_one_token_less_than_it_reads(context, window, seqs):
    toy = shape(windows=(window,) * 3)
    held = kv_bytes(toy, context, 2)
    read = decode_kv_bytes(toy, decode_load(seqs=seqs, context_tokens=context), 2)
    assert held == kv_bytes_per_token(toy, 2) * min(context, window - 1)
    assert read == seqs * kv_bytes_per_token(toy, 2) * min(context + 1, window)


def test_latent_attention_is_light_in_memory_and_heavy_in_arithmetic():
    mla = LatentAttention(kv_rank=16, rope_dim=4, q_rank=None, nope_dim=8, v_dim=8)
    toy = shape(latent=mla, head_dim=12, kv_heads=4)
    assert kv_bytes_per_token(toy, 2) == 3 * (16 + 4) * 2
    more = decode_flops(toy, decode_load(seqs=1, context_tokens=11)) - decode_flops(
        toy, decode_load(seqs=1, context_tokens=10)
    )
    assert more == 2 * 3 * 4 * (2 * 16 + 4)


def test_more_rows_read_more_experts_but_never_all_and_more():
    experts = Experts(count=16, per_token=2, ffn=24)
    toy = shape(experts=experts)
    everything = total_params(toy) - toy.vocab * toy.hidden
    reads = [read_params(toy, rows) for rows in (1, 2, 8, 64, 4096)]
    assert reads == sorted(reads)
    assert reads[0] == pytest.approx(active_params(toy) + toy.vocab * toy.hidden)
    assert reads[-1] == pytest.approx(everything)


def test_an_empty_step_costs_nothing():
    assert prefill_flops(shape(), StepLoad()) == 0
    assert decode_flops(shape(), StepLoad()) == 0
    assert decode_kv_bytes(shape(), StepLoad(), 2) == 0

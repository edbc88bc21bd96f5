"""Useful work, percentiles and reduced rounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.stats import P99_MIN_SAMPLES
from costaudit.measure.phases import Precision, decode_work, percentiles, prefill_work, summarised
from costaudit.measure.reading import Reading
from costaudit.measure.steps import attached_steps, reduce_rounds
from costaudit.recording.rows import Fact, Phase, RequestRow, Role, Sample
from costaudit.target import work
from costaudit.target.load import decode_load, prefill_load
from costaudit.target.shape import ModelShape
from costaudit.target.target import Origin

SHAPE = ModelShape(
    name="tiny",
    architecture="LlamaForCausalLM",
    layers=2,
    hidden=64,
    ffn=128,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocab=128,
    max_context_tokens=512,
)
FP32 = Precision(param_bytes=4, kv_element_bytes=4)


def request(prompt: int, output: int) -> RequestRow:
    return RequestRow(
        task="t",
        batch=0,
        prompt_tokens=prompt,
        output_tokens=output,
        prefix_id=None,
        prefix_tokens=0,
        ttft_s=None,
        e2e_s=None,
    )


def sample(seconds: float, *, steps: int = 1, role: Role = Role.FIT, **load: float) -> Sample:
    return Sample(
        task="t",
        role=role,
        phase=Phase.DECODE if "decode_seqs" in load else Phase.PREFILL,
        round=0,
        t_s=0.0,
        seconds=seconds,
        wall_s=seconds,
        clock="thread_time",
        steps=steps,
        **load,
    )


lengths = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), min_size=1, max_size=6)


@given(lengths)
def test_useful_work_is_that_of_each_request_alone(pairs):
    requests = [request(p, o) for p, o in pairs]
    flops = sum(work.prefill_flops(SHAPE, prefill_load(new_tokens=p)) for p, _ in pairs)
    assert prefill_work(SHAPE, FP32, requests, 1).flops == pytest.approx(flops)
    steps = [(p + i, 1) for p, o in pairs for i in range(o - 1)]
    flops = sum(work.decode_flops(SHAPE, decode_load(seqs=1, context_tokens=c)) for c, _ in steps)
    assert decode_work(SHAPE, FP32, requests, 1).flops == pytest.approx(flops)
    assert decode_work(SHAPE, FP32, requests, 1).tokens == len(steps)


def test_decode_reads_the_weights_once_per_step_and_each_cache_once():
    useful = decode_work(SHAPE, FP32, [request(10, 3)], steps=2)
    weights = 2 * work.weight_bytes(SHAPE, 1, 4)
    caches = sum(
        work.decode_kv_bytes(SHAPE, decode_load(seqs=1, context_tokens=c), 4) for c in (10, 11)
    )
    assert useful.bytes == pytest.approx(weights + caches)


def test_a_p99_needs_the_samples_behind_it():
    assert percentiles([1.0] * (P99_MIN_SAMPLES - 1)).p99 is None
    assert percentiles([1.0] * P99_MIN_SAMPLES).p99 == 1.0
    assert percentiles([]).p50 is None
    assert summarised({"p50": 1.0, "p95": 2.0, "p99": 3.0, "samples": 10}).p99 is None


def test_noise_only_adds_time_so_the_minimum_stands():
    (reduced,) = reduce_rounds([sample(s, prefill_tokens=8) for s in (1.2, 1.0, 1.1)])
    assert reduced.seconds == 1.0
    assert reduced.spread_share == pytest.approx(0.1)
    assert reduced.rounds == 3


def test_rows_of_an_attached_program_become_steps_and_one_in_four_judges():
    rows = [
        sample(2.0, steps=4, role=Role.ATTACHED, decode_seqs=8, decode_context_tokens=400)
        for _ in range(8)
    ]
    steps = attached_steps(rows)
    assert [s.held_out for s in steps] == [False, False, False, True] * 2
    assert steps[0].seconds == 0.5
    assert steps[0].load == decode_load(seqs=2, context_tokens=50)


def test_what_is_missing_leaves_its_reason():
    reading = Reading(
        facts={"kv": {"a": Fact(subject="kv", name="a", value=None, why="the ramp ended")}}
    )
    assert reading.number("kv", "a", "kv_cache.a") is None
    assert reading.value("kv", "b", "kv_cache.b").origin is Origin.UNKNOWN
    assert reading.unknown["kv_cache.a"] == "the ramp ended"
    assert "holds no kv b" in reading.unknown["kv_cache.b.value"]

"""Tensor and pipeline degrees as terms of the step time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drawn_scenarios import LINKED, SHAPE, STEP_TIME, scenarios
from hypothesis import given, settings
from hypothesis import strategies as st
from test_simulate_oracle import agree

from costaudit.target.load import StepLoad, decode_load, prefill_load
from costaudit.whatif.parallel import with_parallelism
from costaudit.whatif.rates import rates_of, windows_of
from costaudit.whatif.scheduler.seconds import FIRST, PLACES, TERM_COUNT, load_terms
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import TERMS

pytestmark = pytest.mark.slow  # all of it together

FREE_LINK = replace(
    STEP_TIME, coefficients={**STEP_TIME.coefficients, "link": 0.0, "link_latency": 0.0}
)


def test_two_devices_halve_the_kernels_and_pay_for_the_link():
    load = decode_load(seqs=4, context_tokens=30)
    one, two = STEP_TIME, with_parallelism(STEP_TIME, tensor=2, link_bytes_per_s=1e8)
    before, after = one.terms_s(load), two.terms_s(load)
    for term in ("weights", "kv", "decode_compute"):
        assert after[term] == pytest.approx(before[term] / 2)
    # two collectives per layer, each 2·(2 - 1)/2 of 4 rows of 64 elements of 2 bytes
    moved = 2 * SHAPE.layers * 1.0 * 4 * SHAPE.hidden * 2.0 / 1e8
    assert after["link"] == pytest.approx(2.0 * moved + 10e-6 * 2 * SHAPE.layers)
    assert before["link"] == 0


def test_the_way_back_from_a_fitted_degree():
    load = decode_load(seqs=4, context_tokens=30)
    there = with_parallelism(LINKED, tensor=2)
    assert there.coefficients == LINKED.coefficients
    assert with_parallelism(there, tensor=4).terms_s(load) == LINKED.terms_s(load)
    assert with_parallelism(LINKED, tensor=1).terms_s(load)["link"] == 0


def test_a_pipeline_is_no_quicker_for_one_sequence_and_twice_as_wide_for_many():
    alone, many = decode_load(seqs=1, context_tokens=30), decode_load(seqs=64, context_tokens=30)
    piped = with_parallelism(FREE_LINK, pipeline=2)
    assert piped.seconds(alone) == pytest.approx(FREE_LINK.seconds(alone))
    # two parts of 32 pass one after the other: the step lasts as long as one of 32 does
    half = decode_load(seqs=32, context_tokens=30)
    assert piped.seconds(many) == pytest.approx(FREE_LINK.seconds(half))


def test_a_pipeline_pays_one_hop_between_two_stages():
    load = prefill_load(new_tokens=16)
    piped = with_parallelism(STEP_TIME, pipeline=3, link_bytes_per_s=1e8)
    hop = 16 * SHAPE.hidden * 2.0 / 1e8
    assert piped.terms_s(load)["link"] == pytest.approx(2 * (2.0 * hop + 10e-6))


loads = st.builds(
    lambda prompts, rows, new, context: StepLoad(
        prefill_tokens=prompts * new,
        prefill_pairs=prompts * new * (new + 1) // 2 + 7 * prompts * new,
        prefill_seqs=prompts,
        decode_seqs=rows,
        decode_context_tokens=rows * context,
    ),
    st.integers(0, 3),
    st.integers(0, 70),
    st.integers(1, 90),
    st.integers(1, 300),
).filter(lambda load: load.rows > 0)
degrees = st.sampled_from([None, 1, 2, 3, 4])


@settings(max_examples=200, deadline=None)
@given(loads, degrees, degrees, st.integers(0, 5))
def test_the_scheduler_computes_with_the_same_step_time(load, tensor, pipeline, which):
    from drawn_scenarios import STEP_TIMES

    model = with_parallelism(STEP_TIMES[which], tensor=tensor, pipeline=pipeline)
    out = [0.0] * PLACES
    numbers = (
        load.prefill_tokens, load.prefill_pairs, load.prefill_seqs, load.decode_seqs,
        load.decode_context_tokens,
    )  # fmt: skip
    load_terms(rates_of(model, None), windows_of(model), out, FIRST, *map(float, numbers))
    told = dict(zip(TERMS, out[FIRST : FIRST + TERM_COUNT], strict=True))
    assert told == pytest.approx(model.terms_s(load), rel=1e-9, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(scenarios(), degrees, degrees)
def test_parallel_scenarios_agree_with_the_plain_loop(scenario, tensor, pipeline):
    model = with_parallelism(
        scenario.step_time, tensor=tensor, pipeline=pipeline, link_bytes_per_s=1e8
    )
    parallel = replace(scenario, step_time=model)
    if scenario.knobs.speculation:  # the plain loop knows drafts on a single stage only
        parallel = replace(parallel, step_time=with_parallelism(model, pipeline=1))
    agree(parallel, simulate(parallel))

"""The simulation against a plain loop that takes one step and one block at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from drawn_scenarios import SHAPE, STEP_TIME, scenarios
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_batches import PlainBatches
from plain_loop import Plain

from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario, Speculation
from costaudit.whatif.simulate import simulate

pytestmark = pytest.mark.slow  # all of it together

NEAR = {"rel": 1e-9, "abs": 1e-12}


def agree(scenario, outcome):
    plain = Plain(scenario).run()
    rows = plain.ended
    assert outcome.ttft_s == pytest.approx([r.times[0] - r.arrival_s for r in rows], **NEAR)
    assert outcome.e2e_s == pytest.approx([r.times[-1] - r.arrival_s for r in rows], **NEAR)
    several = [r for r in rows if len(r.times) > 1]
    tpot = [(r.times[-1] - r.times[0]) / (len(r.times) - 1) for r in several]
    assert outcome.tpot_s == pytest.approx(tpot, **NEAR)
    assert outcome.longest_gap_s == pytest.approx([max(r.gaps) for r in several], **NEAR)
    assert outcome.busy_s == pytest.approx(plain.busy_s, **NEAR)
    assert outcome.demand_idle_s + outcome.queue_idle_s == pytest.approx(plain.idle_s, **NEAR)
    assert outcome.steps == plain.steps
    assert outcome.output_tokens == sum(len(r.times) for r in rows)
    assert outcome.duplicate_prefill_tokens == plain.duplicates
    assert outcome.kv.preemptions == plain.preemptions
    assert outcome.kv.recomputed_tokens == plain.recomputed
    assert outcome.kv.max_concurrency == plain.together
    prompts = scenario.traffic.prompt_tokens
    assert outcome.kv.prefix_hit_share == pytest.approx(plain.hits / prompts)
    used = plain.peak * plain.block / scenario.knobs.kv_budget_tokens
    assert outcome.kv.usage_peak_share == pytest.approx(used, **NEAR)
    gaps = [gap for r in rows for gap in r.gaps]
    assert outcome.gaps.total == len(gaps)
    if gaps:
        assert outcome.gaps.mean_s == pytest.approx(sum(gaps) / len(gaps), rel=0.006)
        assert outcome.gaps.quantile_s(1.0) == pytest.approx(max(gaps), rel=0.006)
    return plain


@settings(max_examples=200, deadline=None)
@given(scenarios())
def test_closed_form_equals_the_plain_loop(scenario):
    agree(scenario, simulate(scenario))


@settings(max_examples=150, deadline=None)
@given(scenarios(caching=st.just(False)), st.sampled_from([0.0, 1e-3, math.inf]), st.booleans())
def test_static_batches_equal_the_plain_loop(drawn, wait_s, apart):
    knobs = replace(drawn.knobs, batching=Batching.STATIC, batch_wait_s=wait_s)
    requests = tuple(
        replace(request, batch=i // 3 if apart else None)
        for i, request in enumerate(drawn.traffic.requests)
    )
    scenario = replace(drawn, knobs=knobs, traffic=replace(drawn.traffic, requests=requests))
    plain, outcome = PlainBatches(scenario).run(), simulate(scenario)
    firsts = [times[0] - at for times, at in zip(plain.times, plain.arrival_s, strict=True)]
    assert outcome.ttft_s == pytest.approx(firsts, **NEAR)
    lasts = [times[-1] - at for times, at in zip(plain.times, plain.arrival_s, strict=True)]
    assert outcome.e2e_s == pytest.approx(lasts, **NEAR)
    gaps = [[b - a for a, b in pairwise(times)] for times in plain.times]
    assert outcome.longest_gap_s == pytest.approx([max(g) for g in gaps if g], **NEAR)
    assert outcome.gaps.total == sum(map(len, gaps))
    assert outcome.busy_s == pytest.approx(plain.busy_s, **NEAR)
    assert outcome.queue_idle_s == pytest.approx(plain.queue_idle_s, **NEAR)
    assert outcome.demand_idle_s == pytest.approx(plain.demand_idle_s, **NEAR)
    assert outcome.steps == plain.steps
    assert outcome.padded_prefill_tokens == plain.padded_tokens
    assert outcome.padded_decode_rows == plain.padded_rows
    assert outcome.kv.max_concurrency == plain.together


def tight(requests, **knobs):
    given_knobs = {
        "batching": Batching.CONTINUOUS,
        "max_num_seqs": 4,
        "kv_layout": KvLayout.PAGED,
        "kv_budget_tokens": 48,
        "kv_block_tokens": 4,
        **knobs,
    }
    return Scenario(
        shape=SHAPE,
        step_time=STEP_TIME,
        knobs=Knobs(**given_knobs),
        traffic=Traffic(source="drawn", requests=tuple(requests), concurrency=4),
        prices=Prices(usd_per_device_h=None),
    )


def test_the_drawn_scenarios_do_preempt():
    scenario = tight(Request(prompt_tokens=10, output_tokens=16) for _ in range(6))
    outcome = simulate(scenario)
    plain = agree(scenario, outcome)
    assert plain.preemptions > 0
    assert plain.recomputed > 0
    assert 0 < outcome.recompute_s < outcome.prefill_s


def test_a_preempted_sequence_finds_what_is_left_of_its_own_blocks():
    scenario = tight(Request(prompt_tokens=10, output_tokens=16) for _ in range(6))
    cached = replace(scenario, knobs=replace(scenario.knobs, prefix_caching=True))
    plain = agree(cached, simulate(cached))
    assert plain.preemptions > 0
    assert plain.recomputed < Plain(scenario).run().recomputed


def test_speculation_takes_fewer_steps_and_preempts_for_its_drafts():
    requests = [Request(prompt_tokens=10, output_tokens=16) for _ in range(6)]
    draft = Speculation(draft_tokens=3, accepted_share=0.7, draft_cost_share=0.05)
    without, drafted = tight(requests), tight(requests, speculation=draft)
    plain = agree(drafted, simulate(drafted))
    assert plain.preemptions > 0
    assert plain.steps < Plain(without).run().steps


def test_long_windows_stay_in_step():
    requests = [
        Request(prompt_tokens=5 + i * 37 % 60, output_tokens=20 + i * 53 % 300, arrival_s=i * 0.004)
        for i in range(60)
    ]
    scenario = tight(requests, kv_budget_tokens=900, max_num_seqs=12, max_num_batched_tokens=64)
    open_loop = replace(scenario, traffic=replace(scenario.traffic, concurrency=None))
    plain = agree(open_loop, simulate(open_loop))
    assert plain.preemptions > 0

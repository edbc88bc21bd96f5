"""What must hold for every simulated window, and cases small enough to count by hand."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from drawn_scenarios import SHAPE, STEP_TIME, scenarios
from hypothesis import given, settings
from hypothesis import strategies as st
from made_scenarios import equal_requests, make

from costaudit.target.load import decode_load, prefill_load
from costaudit.traffic.traffic import Request
from costaudit.whatif.scenario import (
    Batching,
    KvLayout,
    Speculation,
)
from costaudit.whatif.simulate import Relief, simulate

EVERYTHING_RELIEVED = Relief(padding=True, duplicate_prefill=True, preemption=True)


def with_batching(scenario, batching, **knobs):
    return replace(scenario, knobs=replace(scenario.knobs, batching=batching, **knobs))


any_batching = st.sampled_from(Batching)
reliefs = st.builds(Relief, padding=..., duplicate_prefill=..., preemption=...)


@settings(max_examples=150, deadline=None)
@given(scenarios(), any_batching, reliefs, st.sampled_from([0.0, 1e-3, math.inf]))
def test_every_window_adds_up(drawn, batching, relief, wait_s):
    scenario = with_batching(drawn, batching, batch_wait_s=wait_s)
    traffic, outcome = scenario.traffic, simulate(scenario, relief)
    assert outcome.requests == len(traffic.requests) == len(outcome.ttft_s)
    assert outcome.prompt_tokens == traffic.prompt_tokens
    assert outcome.output_tokens == traffic.output_tokens
    assert sum(outcome.busy_terms_s.values()) == pytest.approx(outcome.busy_s, rel=1e-12)
    assert outcome.prefill_s + outcome.decode_s == pytest.approx(outcome.busy_s, rel=1e-12)
    parts = outcome.busy_s + outcome.queue_idle_s + outcome.demand_idle_s
    assert outcome.window_s == pytest.approx(parts, rel=1e-12)
    assert 0 <= outcome.kv.waste_share < 1
    assert 0 < outcome.kv.usage_peak_share <= 1
    assert 0 <= outcome.kv.prefix_hit_share < 1
    assert outcome.kv.max_concurrency <= scenario.knobs.max_num_seqs
    assert outcome.duplicate_prefill_tokens >= 0
    if relief.duplicate_prefill:
        assert outcome.duplicate_prefill_tokens == 0
    if relief.preemption:
        assert outcome.kv.recomputed_tokens == 0
    last = max(r.arrival_s for r in traffic.requests) if traffic.concurrency is None else 0
    assert outcome.window_s >= last


@settings(max_examples=150, deadline=None)
@given(scenarios(caching=st.just(False), plain=True))
def test_continuous_is_never_slower_than_static(drawn):
    """Within the same limits, no matter the layout, when all requests can be sent at any time."""
    closed = replace(drawn.traffic, concurrency=len(drawn.traffic.requests))
    static = with_batching(replace(drawn, traffic=closed), Batching.STATIC)
    continuous = simulate(static, Relief(padding=True, preemption=True))
    padded = simulate(static)
    assert continuous.busy_s <= padded.busy_s * (1 + 1e-12)
    assert continuous.steps <= padded.steps


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(20, 200), st.integers(1, 200))
def test_more_kv_memory_never_hurts_batches_of_equal_requests(count, budget, more):
    requests = equal_requests(count, prompt=12, output=9)
    tight, roomy = (
        simulate(make(requests, concurrency=8, kv_budget_tokens=tokens))
        for tokens in (budget, budget + more)
    )
    assert roomy.steps <= tight.steps
    assert roomy.busy_s <= tight.busy_s * (1 + 1e-12)


@settings(max_examples=100, deadline=None)
@given(scenarios(caching=st.just(False), plain=True))
def test_ample_kv_memory_never_hurts_continuous_batching(drawn):
    knobs = replace(drawn.knobs, max_num_batched_tokens=None)
    closed = replace(drawn.traffic, concurrency=len(drawn.traffic.requests))
    tight = replace(drawn, knobs=knobs, traffic=closed)
    ample = replace(tight, knobs=replace(knobs, kv_budget_tokens=10**6))
    assert simulate(ample).busy_s <= simulate(tight).busy_s * (1 + 1e-12)
    assert simulate(ample).kv.preemptions == 0


def test_a_static_batch_by_hand():
    requests = [
        Request(prompt_tokens=10, output_tokens=5),
        Request(prompt_tokens=6, output_tokens=3),
    ]
    outcome = simulate(make(requests, concurrency=2))
    prefill = STEP_TIME.seconds(prefill_load(new_tokens=10, seqs=2))
    decode = [STEP_TIME.seconds(decode_load(seqs=2, context_tokens=10 + i)) for i in range(4)]
    assert outcome.busy_s == pytest.approx(prefill + sum(decode), rel=1e-12)
    assert outcome.ttft_s == pytest.approx((prefill, prefill))
    assert outcome.tpot_s == pytest.approx((sum(decode) / 4, sum(decode[:2]) / 2))
    assert outcome.padded_prefill_tokens == 4
    assert outcome.padded_decode_rows == 2
    assert outcome.steps == 5
    # reserved: 2 rows x 10 … 14 columns; written: 10 … 14 and 6, 7, 8, 8, 8
    assert outcome.kv.waste_share == pytest.approx(1 - (60 + 37) / 120)
    assert outcome.kv.usage_peak_share == pytest.approx(28 / 10_000)


def test_a_static_cache_reserves_the_maximum():
    scenario = make(equal_requests(1), concurrency=1, kv_layout=KvLayout.STATIC, max_model_len=100)
    outcome = simulate(scenario)
    assert outcome.kv.waste_share == pytest.approx(1 - 12 / 100)  # 10 … 14 tokens of 100
    assert outcome.kv.usage_peak_share == pytest.approx(100 / 10_000)
    # without a maximum of its own, the model's context counts
    bare = with_batching(scenario, Batching.CONTINUOUS, max_model_len=0)
    assert simulate(bare).kv.waste_share == pytest.approx(1 - 12 / SHAPE.max_context_tokens)


def test_pages_waste_the_rest_of_the_last_block():
    scenario = make(
        equal_requests(1, prompt=10, output=5),
        concurrency=1,
        batching=Batching.CONTINUOUS,
        kv_layout=KvLayout.PAGED,
        kv_block_tokens=4,
    )
    # 10 … 14 tokens in blocks of 4: 12, 12, 12, 16, 16
    assert simulate(scenario).kv.waste_share == pytest.approx(1 - 60 / 68)


def test_kv_memory_bounds_the_batch():
    requests = equal_requests(8, prompt=10, output=5)
    outcome = simulate(make(requests, concurrency=8, kv_budget_tokens=3 * 14))
    assert outcome.kv.max_concurrency == 3
    assert outcome.padded_decode_rows == 0


def test_a_static_batch_that_waits_to_fill_idles_while_requests_wait():
    requests = [
        Request(prompt_tokens=10, output_tokens=5, arrival_s=arrival) for arrival in (1.0, 3.0)
    ]
    at_once = simulate(make(requests, max_num_seqs=2))
    assert at_once.queue_idle_s == 0
    assert at_once.kv.max_concurrency == 1
    filled = simulate(make(requests, max_num_seqs=2, batch_wait_s=math.inf))
    assert filled.queue_idle_s == pytest.approx(2.0)
    assert filled.demand_idle_s == pytest.approx(1.0)
    assert filled.kv.max_concurrency == 2
    impatient = simulate(make(requests, max_num_seqs=2, batch_wait_s=0.5))
    assert impatient.queue_idle_s == pytest.approx(1.0)
    assert impatient.kv.max_concurrency == 1


def test_the_declared_window_ends_in_idle_for_lack_of_demand():
    outcome = simulate(make(equal_requests(2), window_s=5.0))
    assert outcome.window_s == pytest.approx(5.0)
    assert outcome.demand_idle_s == pytest.approx(5.0 - outcome.busy_s)
    assert simulate(make(equal_requests(2), window_s=5.0, concurrency=1)).demand_idle_s == 0


def test_a_shared_prefix_is_prefilled_once_or_counted_as_duplicate():
    requests = equal_requests(5, prompt=10, output=5, prefix_id=7, prefix_tokens=9)
    paged = {"kv_layout": KvLayout.PAGED, "kv_block_tokens": 4}
    without = make(requests, concurrency=2, batching=Batching.CONTINUOUS, **paged)
    assert simulate(without).duplicate_prefill_tokens == 4 * 8  # full blocks only
    assert simulate(without).kv.prefix_hit_share == 0
    cached = with_batching(without, Batching.CONTINUOUS, prefix_caching=True)
    assert simulate(cached).duplicate_prefill_tokens == 0
    assert simulate(cached).kv.prefix_hit_share == pytest.approx(32 / 50)
    assert simulate(cached).prefill_s < simulate(without).prefill_s
    perfect = simulate(without, Relief(duplicate_prefill=True))
    assert perfect.busy_s == pytest.approx(simulate(cached).busy_s)


def test_a_cached_prefix_gives_way_when_its_room_is_needed():
    first = Request(prompt_tokens=12, output_tokens=1, prefix_id=1, prefix_tokens=8)
    other = Request(prompt_tokens=16, output_tokens=1)
    scenario = make(
        [first, other, first],
        concurrency=1,
        batching=Batching.CONTINUOUS,
        kv_layout=KvLayout.PAGED,
        kv_block_tokens=4,
        kv_budget_tokens=16,
        prefix_caching=True,
    )
    assert simulate(scenario).kv.prefix_hit_share == 0
    assert simulate(scenario).duplicate_prefill_tokens == 8
    larger = with_batching(scenario, Batching.CONTINUOUS, kv_budget_tokens=24)
    assert simulate(larger).kv.prefix_hit_share == pytest.approx(8 / 40)


def test_no_request_no_time():
    outcome = simulate(make([], window_s=3.0))
    assert (outcome.busy_s, outcome.demand_idle_s, outcome.requests) == (0, 3.0, 0)


def test_speculation_by_hand():
    """Two drafted tokens of which every one is accepted: three tokens a step."""
    draft = Speculation(draft_tokens=2, accepted_share=1.0, draft_cost_share=0.1)
    scenario = make(
        equal_requests(1, prompt=10, output=7),
        concurrency=1,
        batching=Batching.CONTINUOUS,
        speculation=draft,
    )
    outcome = simulate(scenario)
    assert outcome.steps == 1 + 2
    told = STEP_TIME.terms_s(decode_load(seqs=3, context_tokens=10))
    alone = STEP_TIME.coefficients["overhead"]  # three rows of work, but one sequence
    verify = told | {"kv": told["kv"] / 3, "sequences": told["sequences"] / 3, "overhead": alone}
    plain = STEP_TIME.seconds(decode_load(seqs=1, context_tokens=10))
    first_step = sum(verify.values()) + 2 * 0.1 * plain
    assert outcome.gaps.quantile_s(0.5) == pytest.approx(first_step, rel=0.006)
    assert draft.tokens_per_step == 3


def test_a_watermark_keeps_blocks_for_those_who_run():
    paged = {"batching": Batching.CONTINUOUS, "kv_layout": KvLayout.PAGED, "kv_block_tokens": 4}
    requests = equal_requests(8, prompt=12, output=16)
    tight = make(requests, concurrency=8, max_num_seqs=8, kv_budget_tokens=80, **paged)
    careful = with_batching(tight, Batching.CONTINUOUS, kv_watermark_share=0.4)
    assert simulate(careful).kv.preemptions < simulate(tight).kv.preemptions
    assert simulate(careful).requests == 8


def test_a_thousand_requests_are_a_matter_of_milliseconds():
    requests = [
        Request(prompt_tokens=20 + i % 17, output_tokens=100 + 7 * i % 200) for i in range(1000)
    ]
    scenario = make(requests, concurrency=16, max_num_seqs=16, kv_budget_tokens=100_000)
    for batching in Batching:
        took_s = []
        for _ in range(3):  # about 0.1 s each; others may use the machine
            started = time.process_time()
            outcome = simulate(with_batching(scenario, batching))
            took_s.append(time.process_time() - started)
        assert min(took_s) < 0.5
        assert outcome.output_tokens == scenario.traffic.output_tokens


def test_relief_leaves_no_waste_of_the_scheduling():
    requests = [
        Request(
            prompt_tokens=10 + i % 7, output_tokens=4 + 3 * i % 11, prefix_id=0, prefix_tokens=8
        )
        for i in range(12)
    ]
    outcome = simulate(make(requests, concurrency=6), EVERYTHING_RELIEVED)
    assert outcome.padded_decode_rows == outcome.padded_prefill_tokens == 0
    assert outcome.duplicate_prefill_tokens == outcome.kv.recomputed_tokens == 0

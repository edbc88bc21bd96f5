"""What is left of the steps run when a waste is taken out of them."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from itertools import combinations

import pytest
from drawn_windows import step_times, windows
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from model_shapes import DENSE

from costaudit.bill.replay import IN_THE_LOAD, replay_of
from costaudit.bill.slices import WASTES, SliceId
from costaudit.bill.step_log import steps_of
from costaudit.bill.steps_run import Chunk, StepRun
from costaudit.bill.waterfall import SWITCHED
from costaudit.ground.errors import InconclusiveError
from costaudit.target.load import StepLoad, decode_load
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import (
    Batching,
    Knobs,
    KvLayout,
    Prices,
    Scenario,
    Speculation,
)
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import Peaks, StepTime

pytestmark = pytest.mark.slow  # all of it together

NOTHING = frozenset()
EVERY = frozenset(SWITCHED)
REMOVALS = [
    frozenset(members)
    for size in range(len(IN_THE_LOAD) + 1)
    for members in combinations(sorted(IN_THE_LOAD), size)
]
STEP_TIME = StepTime(
    shape=DENSE,
    peaks=Peaks(flops_per_s=1e11, bandwidth_bytes_per_s=2e10),
    param_bytes=4,
    kv_element_bytes=4,
    coefficients={
        "overhead": 1e-3,
        "sequences": 5e-5,
        "weights": 1.1,
        "kv": 1.3,
        "decode_compute": 0.5,
        "prefill_compute": 1.5,
    },
)


def make(requests, *, concurrency=None, **knobs):
    given_knobs = {
        "batching": Batching.STATIC,
        "max_num_seqs": 4,
        "kv_layout": KvLayout.PAGED,
        "kv_budget_tokens": 10_000,
        **knobs,
    }
    return Scenario(
        shape=DENSE,
        step_time=STEP_TIME,
        knobs=Knobs(**given_knobs),
        traffic=Traffic(source="made", requests=tuple(requests), concurrency=concurrency),
        prices=Prices(usd_per_device_h=2.0),
    )


def tokens(runs, removed):
    return sum(run.load(removed).prefill_tokens for run in runs)


def whole_s(terms):
    return math.fsum(terms.values())


@settings(max_examples=150, deadline=None)
@given(windows())
def test_with_every_waste_the_steps_are_those_of_the_simulation(scenario):
    outcome, runs = simulate(scenario), steps_of(scenario)
    assert sum(run.steps for run in runs) == outcome.steps
    assert replay_of(scenario).terms_s(frozenset(WASTES)) == pytest.approx(
        outcome.busy_terms_s, rel=1e-9, abs=1e-15
    )


@settings(max_examples=150, deadline=None)
@given(windows())
def test_what_is_taken_out_is_what_the_window_counted(scenario):
    outcome, runs = simulate(scenario), steps_of(scenario)
    pad = frozenset({SliceId.PADDING})
    rows = sum(run.steps * (run.decode_seqs - run.live_seqs) for run in runs)
    assert rows == outcome.padded_decode_rows
    assert tokens(runs, NOTHING) - tokens(runs, pad) == outcome.padded_prefill_tokens
    repeated = tokens(runs, pad) - tokens(runs, pad | {SliceId.DUPLICATE_PREFILL})
    redone = tokens(runs, pad) - tokens(runs, pad | {SliceId.PREEMPTION})
    if outcome.kv.preemptions:  # a repeated token may be lost and repeated once more
        assert repeated >= outcome.duplicate_prefill_tokens
    else:
        assert repeated == outcome.duplicate_prefill_tokens
    if scenario.knobs.prefix_caching:  # a hit may hide what had to be computed a third time
        assert redone >= outcome.kv.recomputed_tokens
    else:
        assert redone == outcome.kv.recomputed_tokens


@st.composite
def chunks(draw, *, longest):
    end = draw(st.integers(1, longest))
    return Chunk(
        start=draw(st.integers(0, end - 1)),
        end=end,
        repeated=draw(st.integers(0, end)),
        redone=draw(st.integers(0, end)),
    )


@st.composite
def step_runs(draw):
    """Any step that a scheduler may run, from a few tokens to thousands."""
    longest = draw(st.sampled_from([12, 200, 4000]))
    padded = draw(st.booleans())
    live = draw(st.lists(st.integers(1, longest), max_size=6))
    extra = draw(st.lists(st.integers(1, longest), max_size=6)) if padded else []
    context = max(live + extra, default=0) * len(live + extra) if padded else sum(live)
    return StepRun(
        steps=draw(st.integers(1, 60)),
        chunks=tuple(draw(st.lists(chunks(longest=longest), max_size=6))),
        padded=padded,
        decode_seqs=len(live) + len(extra),
        decode_context_tokens=context,
        live_seqs=len(live),
        live_context_tokens=sum(live),
    )


@settings(max_examples=200, deadline=None)
@given(step_times(), step_runs(), st.booleans(), st.sampled_from(fields(StepLoad)), st.data())
def test_more_of_anything_never_makes_a_step_shorter(drawn, run, ideal_kernels, part, data):
    step_time, load = drawn.without(kernel_inefficiency=ideal_kernels), run.load(NOTHING)
    prompts, decoding = load.prefill_tokens > 0, load.decode_seqs > 0
    assume(prompts if part.name.startswith("prefill") else decoding)
    more = getattr(load, part.name) + data.draw(st.integers(1, 5000))
    heavier = replace(load, **{part.name: more})
    assert step_time.seconds(heavier) >= step_time.seconds(load) * (1 - 1e-12)


@settings(max_examples=200, deadline=None)
@given(step_times(), step_runs(), st.booleans(), st.booleans())
def test_a_step_never_takes_longer_for_working_on_less(drawn, run, ideal_kernels, bare):
    step_time = drawn.without(kernel_inefficiency=ideal_kernels, step_overhead=bare)
    loads = {removed: run.load(removed) for removed in REMOVALS}
    lone = {r: step_time.seconds(load) if load.rows else 0.0 for r, load in loads.items()}
    runs = {
        r: whole_s(step_time.run_s(load, run.steps)) if load.rows else 0.0
        for r, load in loads.items()
    }
    for fewer in REMOVALS:
        for more in REMOVALS:
            if fewer < more:
                assert lone[more] <= lone[fewer] * (1 + 1e-12)
                assert runs[more] <= runs[fewer] * (1 + 1e-12)


@settings(max_examples=100, deadline=None)
@given(windows())
def test_leaving_a_waste_out_never_costs(scenario):
    replay = replay_of(scenario)
    for size in range(len(SWITCHED) + 1):
        for members in combinations(SWITCHED, size):
            present = frozenset(members)
            before = whole_s(replay.terms_s(present))
            for waste in present:
                assert whole_s(replay.terms_s(present - {waste})) <= before * (1 + 1e-12)


def test_a_batch_without_its_padding_by_hand():
    """Two rows, nobody else about: the short row leaves, the long one still reads the weights."""
    scenario = make(
        [Request(prompt_tokens=10, output_tokens=5), Request(prompt_tokens=6, output_tokens=3)]
    )
    prefill = StepLoad(prefill_tokens=16, prefill_pairs=55 + 21, prefill_seqs=2)
    both = [StepLoad(decode_seqs=2, decode_context_tokens=16 + 2 * step) for step in range(2)]
    alone = [decode_load(seqs=1, context_tokens=12 + step) for step in range(2)]
    expected = sum(STEP_TIME.seconds(load) for load in (prefill, *both, *alone))
    unpadded = replay_of(scenario).terms_s(EVERY - {SliceId.PADDING})
    assert whole_s(unpadded) == pytest.approx(expected, rel=1e-12)


def test_where_requests_queue_the_room_of_ended_rows_goes_to_others():
    requests = [Request(prompt_tokens=8, output_tokens=2 + 60 * (i % 4 == 0)) for i in range(32)]
    scenario = make(requests, concurrency=8)
    continuous = replace(scenario.knobs, batching=Batching.CONTINUOUS)
    expected = simulate(replace(scenario, knobs=continuous)).busy_s
    replay = replay_of(scenario)
    unpadded = whole_s(replay.terms_s(EVERY - {SliceId.PADDING}))
    assert unpadded == pytest.approx(expected, rel=1e-12)
    steps_alone = replace(replay, schedules=replay.schedules[:1], _known={})
    assert unpadded < 0.7 * whole_s(steps_alone.terms_s(EVERY - {SliceId.PADDING}))


def test_where_hardly_anybody_comes_only_the_padded_rows_count():
    """Continuous batching would serve the second alone and read the weights twice as often."""
    requests = [
        Request(prompt_tokens=8, output_tokens=20, arrival_s=0.0),
        Request(prompt_tokens=6, output_tokens=20, arrival_s=1.0),
    ]
    scenario = make(requests, batch_wait_s=math.inf)
    continuous = replace(scenario.knobs, batching=Batching.CONTINUOUS)
    padded = simulate(scenario).busy_s
    assert simulate(replace(scenario, knobs=continuous)).busy_s > 1.3 * padded
    assert 0.9 * padded < whole_s(replay_of(scenario).terms_s(EVERY - {SliceId.PADDING})) < padded


def test_a_step_of_which_nothing_is_left_is_not_run():
    run = StepRun(steps=1, chunks=(Chunk(start=0, end=16, repeated=32),))
    assert run.load(NOTHING).rows == 16
    assert run.load(frozenset({SliceId.DUPLICATE_PREFILL})) == StepLoad()
    requests = [Request(prompt_tokens=40, output_tokens=1, prefix_id=0, prefix_tokens=32)] * 2
    scenario = make(requests, batching=Batching.CONTINUOUS, max_num_batched_tokens=16)
    replay = replay_of(scenario)  # chunks of 16, 16, 8 and 8, 16, 16: 24 of these done before
    every, without = (
        replay.terms_s(EVERY - left_out)["overhead"]
        for left_out in (NOTHING, frozenset({SliceId.DUPLICATE_PREFILL}))
    )
    assert every == pytest.approx(5e-3)
    assert without == pytest.approx(4e-3)


@pytest.mark.parametrize("more", ["replicas", "drafts"])
def test_a_window_whose_steps_do_not_tell_its_seconds_is_refused(more):
    scenario = make([Request(prompt_tokens=8, output_tokens=20)] * 4, concurrency=2)
    drafting = replace(
        scenario.knobs,
        batching=Batching.CONTINUOUS,
        speculation=Speculation(draft_tokens=3, accepted_share=0.7),
    )
    changes = {"replicas": 2} if more == "replicas" else {"knobs": drafting}
    with pytest.raises(InconclusiveError, match="cannot be billed by cause"):
        replay_of(replace(scenario, **changes))


def test_speed_of_light_is_the_roofline_of_what_is_left():
    requests = [
        Request(prompt_tokens=20 + 7 * i % 30, output_tokens=1 + 5 * i % 20) for i in range(20)
    ]
    replay = replay_of(make(requests, concurrency=4))
    light = replay.terms_s(NOTHING)
    assert light["overhead"] == light["sequences"] == light["decode_compute"] == 0

    def roofline_s(run):
        load = run.load(IN_THE_LOAD)
        grown = [load.decode_context_tokens + step * load.decode_seqs for step in range(run.steps)]
        steps = [replace(load, decode_context_tokens=context) for context in grown]
        return math.fsum(whole_s(STEP_TIME.ideal_s(step)) for step in steps)

    cheaper = min(math.fsum(map(roofline_s, runs)) for runs in replay.schedules)
    assert whole_s(light) == pytest.approx(cheaper, rel=1e-12)

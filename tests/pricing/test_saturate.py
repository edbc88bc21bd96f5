"""The capacity of a replica, tried out: what it claims can be simulated, and no more."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from pricing_made_up import EPOCH

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import percentile
from costaudit.pricing.prefix import share_at
from costaudit.pricing.requests import arriving, sample_requests
from costaudit.pricing.saturate import MOST_UTILIZATION, USUAL_UTILIZATION, Slo, capacity_of
from costaudit.target.shape import ModelShape
from costaudit.traffic.demand import Demand, LengthCell, PrefixShare
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import Peaks, StepTime

SHAPE = ModelShape(
    name="eight billion",
    architecture="llama",
    layers=32,
    hidden=4096,
    ffn=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128256,
    max_context_tokens=8192,
)
STEP_TIME = StepTime(
    shape=SHAPE,
    peaks=Peaks(flops_per_s=9e14, bandwidth_bytes_per_s=3.3e12),
    param_bytes=2.0,
    kv_element_bytes=2.0,
    coefficients={
        "overhead": 2e-3,
        "sequences": 25e-6,
        "weights": 1.11,
        "kv": 1.14,
        "decode_compute": 1.67,
        "prefill_compute": 1.54,
    },
)
TIGHT = Slo(ttft_s=0.5, tpot_s=0.012)


def requests(count=200, seed=0):
    draw = random.Random(seed)
    return tuple(
        Request(
            prompt_tokens=1 + int(draw.lognormvariate(6, 0.6)),
            output_tokens=1 + int(draw.lognormvariate(4.5, 0.6)),
        )
        for _ in range(count)
    )


def scenario_of(**knobs):
    given = {
        "batching": Batching.CONTINUOUS,
        "max_num_seqs": 64,
        "kv_layout": KvLayout.PAGED,
        "kv_budget_tokens": 200_000,
        "max_num_batched_tokens": 2048,
        **knobs,
    }
    return Scenario(
        shape=SHAPE,
        step_time=STEP_TIME,
        knobs=Knobs(**given),
        traffic=Traffic(source="made", requests=requests(), concurrency=8),
        prices=Prices(usd_per_device_h=3.0),
        devices=2,
    )


STATIC = scenario_of(
    batching=Batching.STATIC,
    kv_layout=KvLayout.DYNAMIC,
    max_num_seqs=8,
    max_num_batched_tokens=None,
)


def demand_of(cells, **fields):
    made = Demand(
        source="made.csv",
        format="made",
        window_s=600.0,
        starts=(EPOCH,),
        requests=(100.0,),
        prompt_tokens=(20_000.0,),
        output_tokens=(40_000.0,),
        cached_prompt_tokens=(None,),
        covered_s=(600.0,),
        lengths=tuple(cells),
        first=EPOCH,
        last=EPOCH,
    )
    return replace(made, **fields)


def served_at(scenario, per_s, slo, seed=7):
    """Share of the requests of a fresh Poisson stream that keep each limit."""
    stream = arriving(requests(1500, seed), per_s, seed)
    traffic = Traffic(source="stream", requests=stream)
    outcome = simulate(replace(scenario, traffic=traffic))
    return (
        sum(t <= slo.ttft_s for t in outcome.ttft_s) / len(outcome.ttft_s),
        sum(t <= slo.tpot_s for t in outcome.tpot_s) / len(outcome.tpot_s),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "slo"),
    [(scenario_of(), TIGHT), (STATIC, Slo(ttft_s=10.0, tpot_s=0.05))],
    ids=["continuous", "static"],
)
def test_the_claimed_capacity_keeps_the_slo_and_much_more_does_not(scenario, slo):
    found = capacity_of(scenario, slo=slo)
    mean = [sum(x) / 1500 for x in zip(*_lengths(requests(1500, 7)), strict=True)]
    # One replica's full use: the rate at which the work is 1, times the share it may take.
    per_s = found.utilization_share / found.work(*mean)
    kept = served_at(scenario, 0.97 * per_s, slo)
    assert min(kept) >= 0.93
    broken = served_at(scenario, 1.5 * per_s / found.utilization_share, slo)
    assert min(broken) < 0.9


def _lengths(some):
    return [(r.prompt_tokens, r.output_tokens) for r in some]


def test_work_is_one_at_the_saturated_rate():
    found = capacity_of(scenario_of(), slo=Slo())
    assert found.devices == 2
    assert found.utilization_share == USUAL_UTILIZATION
    assert any("no SLO" in note for note in found.notes)
    most = replace(scenario_of().traffic, requests=requests() * 10, concurrency=64)
    outcome = simulate(replace(scenario_of(), traffic=most))
    work = found.work(
        outcome.prompt_tokens / outcome.window_s, outcome.output_tokens / outcome.window_s
    )
    assert work == pytest.approx(1.0, abs=0.05)


def test_a_tighter_slo_leaves_less_capacity():
    loose = capacity_of(scenario_of(), slo=Slo(ttft_s=5.0, tpot_s=0.1))
    tight = capacity_of(scenario_of(), slo=TIGHT)
    assert tight.decode_tokens_per_s < loose.decode_tokens_per_s
    assert tight.binding == "latency"
    assert loose.binding == "sequences"
    assert 0 < tight.utilization_share <= loose.utilization_share <= MOST_UTILIZATION


def test_little_memory_binds():
    found = capacity_of(scenario_of(kv_budget_tokens=8192), slo=Slo())
    assert found.binding == "memory"
    assert found.decode_tokens_per_s < capacity_of(scenario_of(), slo=Slo()).decode_tokens_per_s


def test_an_impossible_slo_is_said():
    with pytest.raises(InconclusiveError, match="even for one request"):
        capacity_of(scenario_of(), slo=Slo(tpot_s=1e-4))


def test_static_batches_interfere():
    assert capacity_of(STATIC, slo=Slo()).interference > 1.05  # padding, and rows that wait


@pytest.mark.parametrize("batching", Batching)
@pytest.mark.parametrize("layout", KvLayout)
@pytest.mark.parametrize("caching", [False, True])
@pytest.mark.parametrize("max_num_seqs", [1, 3])
def test_any_scenario_has_a_capacity(batching, layout, caching, max_num_seqs):
    scenario = scenario_of(
        batching=batching,
        kv_layout=layout,
        prefix_caching=caching,
        max_num_seqs=max_num_seqs,
        max_model_len=8192,
    )
    found = capacity_of(scenario, slo=Slo())
    assert found.prefill_tokens_per_s > 0
    assert found.decode_tokens_per_s > 0
    assert 0.5 < found.interference < 4


def test_lengths_come_from_the_log():
    cells = [
        LengthCell(requests=3, prompt_tokens=100, output_tokens=10),
        LengthCell(requests=1, prompt_tokens=1000, output_tokens=50),
    ]
    sample = sample_requests(scenario_of(), demand_of(cells), 400)
    assert sum(r.prompt_tokens == 100 for r in sample.requests) == 300
    assert not sample.notes


def test_without_single_requests_the_recorded_lengths_are_brought_to_the_logs_means():
    sample = sample_requests(scenario_of(), demand_of([]), 200)
    mean = sum(r.prompt_tokens for r in sample.requests) / 200
    assert mean == pytest.approx(200, rel=0.02)
    assert any("no single requests" in note for note in sample.notes)
    uncounted = sample_requests(scenario_of(), demand_of([], requests=(None,)), 50)
    assert any("counts no requests" in note for note in uncounted.notes)


def test_what_a_replica_cannot_hold_is_cut_and_counted():
    cells = [LengthCell(requests=1, prompt_tokens=50_000, output_tokens=100)]
    sample = sample_requests(scenario_of(), demand_of(cells), 10)
    longest = max(r.prompt_tokens + r.output_tokens for r in sample.requests)
    assert longest <= SHAPE.max_context_tokens
    assert sample.notes == ("10 of 10 sampled requests were cut to what one replica can hold",)


def test_hits_are_those_of_the_cache_that_is_there():
    cells = [LengthCell(requests=1, prompt_tokens=1000, output_tokens=50)]
    curve = (
        PrefixShare(cache_tokens=100_000, share=0.1),
        PrefixShare(cache_tokens=1_000_000, share=0.5),
        PrefixShare(cache_tokens=float("inf"), share=0.65),
    )
    demand = demand_of(cells, prefix_shares=curve, prefix_share=0.65)
    off = capacity_of(scenario_of(), slo=Slo(), demand=demand)
    assert off.cached_share == 0.0
    small = capacity_of(scenario_of(prefix_caching=True), slo=Slo(), demand=demand)
    assert 0.1 <= small.cached_share < 0.2
    untold = capacity_of(scenario_of(prefix_caching=True), slo=Slo(), demand=demand_of(cells))
    assert untold.cached_share == 0.0
    assert any("does not tell" in note for note in untold.notes)
    logged = demand_of(cells, cached_prompt_tokens=(5_000.0,))
    as_logged = capacity_of(scenario_of(prefix_caching=True), slo=Slo(), demand=logged)
    assert as_logged.cached_share == pytest.approx(0.25)


def test_the_curve_of_hits_is_straight_between_its_points():
    curve = (PrefixShare(cache_tokens=100, share=0.2), PrefixShare(cache_tokens=300, share=0.4))
    assert share_at(curve, 0) == 0.0
    assert share_at(curve, 50) == pytest.approx(0.1)
    assert share_at(curve, 200) == pytest.approx(0.3)
    assert share_at(curve, 1e9) == 0.4
    endless = (*curve, PrefixShare(cache_tokens=float("inf"), share=0.9))
    assert share_at(endless, 1e9) == 0.4  # nobody has an endless cache


def test_a_poisson_stream_has_its_rate():
    stream = arriving(requests(4000), 5.0)
    assert 4000 / stream[-1].arrival_s == pytest.approx(5.0, rel=0.06)
    gaps = [b.arrival_s - a.arrival_s for a, b in pairwise(stream)]
    assert percentile(gaps, 0.5) == pytest.approx(0.1386, rel=0.08)

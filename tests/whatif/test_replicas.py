"""Replicas behind a router: hand-made cases, and what holds for every traffic."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from drawn_scenarios import SHAPE, STEP_TIME, scenarios
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.ground.errors import UsageError
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Router, Scenario
from costaudit.whatif.simulate import simulate


def fleet(requests, *, replicas=2, router=Router.ROUND_ROBIN, concurrency=None, **knobs):
    given_knobs = {
        "batching": Batching.CONTINUOUS,
        "max_num_seqs": 4,
        "kv_layout": KvLayout.PAGED,
        "kv_budget_tokens": 4000,
        "kv_block_tokens": 4,
        **knobs,
    }
    return Scenario(
        shape=SHAPE,
        step_time=STEP_TIME,
        knobs=Knobs(**given_knobs),
        traffic=Traffic(source="made", requests=tuple(requests), concurrency=concurrency),
        prices=Prices(usd_per_device_h=1.0),
        replicas=replicas,
        router=router,
    )


def one(long=False, **fields):
    return Request(prompt_tokens=10, output_tokens=200 if long else 5, **fields)


@settings(max_examples=80, deadline=None)
@given(scenarios(plain=True), st.sampled_from(Router), st.integers(1, 4), st.sampled_from(Batching))
def test_nothing_is_lost_between_the_replicas(drawn, router, replicas, batching):
    knobs = replace(drawn.knobs, batching=batching)
    scenario = replace(drawn, replicas=replicas, router=router, knobs=knobs)
    traffic, outcome = scenario.traffic, simulate(scenario)
    several = sum(request.output_tokens > 1 for request in traffic.requests)
    assert outcome.requests == len(outcome.ttft_s) == len(outcome.e2e_s) == len(traffic.requests)
    assert len(outcome.tpot_s) == len(outcome.longest_gap_s) == several
    assert outcome.output_tokens == traffic.output_tokens
    assert outcome.prompt_tokens == traffic.prompt_tokens
    parts = outcome.busy_s + outcome.queue_idle_s + outcome.demand_idle_s
    assert outcome.window_s == pytest.approx(parts)
    assert sum(outcome.busy_terms_s.values()) == pytest.approx(outcome.busy_s)
    if traffic.concurrency is None:  # paid until the last replica is done
        assert outcome.window_s >= replicas * max(r.arrival_s for r in traffic.requests)


def test_round_robin_takes_turns():
    requests = [one(arrival_s=0.0), one(arrival_s=0.0)]
    alone, both = simulate(fleet([requests[0]], replicas=1)), simulate(fleet(requests))
    assert both.ttft_s == alone.ttft_s * 2
    assert both.busy_s == pytest.approx(2 * alone.busy_s)
    assert both.kv.max_concurrency == 1


def test_least_load_keeps_clear_of_a_long_request():
    requests = [one(long=True, arrival_s=0.0), *(one(arrival_s=0.02 * i) for i in range(1, 7))]
    scenario = fleet(requests, max_num_seqs=1)
    turns = simulate(scenario)
    least = simulate(replace(scenario, router=Router.LEAST_LOAD))
    assert max(least.ttft_s) < 0.01
    assert max(turns.ttft_s) > 0.05
    assert least.busy_s == pytest.approx(turns.busy_s)


def test_least_load_is_told_from_the_state_at_the_arrival():
    """Two long ones at once go apart; the third finds both busy and goes to the first."""
    requests = [one(long=True), one(long=True), one(long=True, arrival_s=1e-3)]
    scenario = fleet(requests, router=Router.LEAST_LOAD)
    alone = simulate(fleet([requests[0]], replicas=1))
    outcome = simulate(scenario)
    assert outcome.e2e_s[1] == pytest.approx(alone.e2e_s[0])
    assert outcome.e2e_s[0] > alone.e2e_s[0]
    assert outcome.kv.max_concurrency == 2


def test_affinity_keeps_a_prefix_in_one_cache():
    requests = [
        Request(
            prompt_tokens=21, output_tokens=3, arrival_s=0.1 * i, prefix_id=i // 2 % 2,
            prefix_tokens=20,
        )
        for i in range(8)
    ]  # fmt: skip
    scenario = fleet(requests, prefix_caching=True)
    turns = simulate(scenario)
    affine = simulate(replace(scenario, router=Router.PREFIX_AFFINITY))
    assert affine.kv.prefix_hit_share == pytest.approx(6 * 20 / (8 * 21))
    assert turns.kv.prefix_hit_share == pytest.approx(4 * 20 / (8 * 21))
    assert affine.prefill_s < turns.prefill_s


def test_the_clients_of_a_closed_loop_are_divided():
    requests = [one() for _ in range(12)]
    outcome = simulate(fleet(requests, replicas=3, concurrency=6))
    part = simulate(fleet(requests[:4], replicas=1, concurrency=2))
    assert outcome.busy_s == pytest.approx(3 * part.busy_s)
    assert outcome.kv.max_concurrency == part.kv.max_concurrency == 2


def test_a_replica_without_requests_idles():
    outcome = simulate(fleet([one(arrival_s=1.0)], replicas=3))
    assert outcome.window_s == pytest.approx(3 * (1.0 + outcome.busy_s))


def test_no_replica_serves_nobody():
    with pytest.raises(UsageError, match="replicas = 0"):
        simulate(fleet([one()], replicas=0))


def test_batches_that_wait_to_fill_count_idle_on_each_replica():
    requests = [one(arrival_s=0.5 * i) for i in range(4)]
    knobs = {"batching": Batching.STATIC, "max_num_seqs": 2, "batch_wait_s": math.inf}
    outcome = simulate(fleet(requests, kv_layout=KvLayout.DYNAMIC, **knobs))
    assert outcome.queue_idle_s == pytest.approx(2.0)

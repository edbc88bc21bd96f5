"""The plan under the latency that the workload asks for, its Pareto front, and its samples."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_made_up import kept_shares, make, plan, scenario, taken

from costaudit.plan.bounds import Bounds, Worth
from costaudit.plan.front import ALIKE_SHARE, pareto
from costaudit.plan.sample import SAMPLE_REQUESTS, sampled
from costaudit.plan.search import expected_costs
from costaudit.traffic.traffic import Request, Traffic

SLO = {"ttft_s": 1.0, "itl_s": 0.1}
SHARES = {"batch": (0.5, 0.5), "shrink": (0.8, 0.8), "graphs": (0.9, 0.9)}
STEPS = [make(name) for name in SHARES]


def latencies(**factors):
    """ITL of 0.08 s today, times the factor of each step that was made."""

    def of(changed):
        gap = math.prod((0.08, *(factors.get(step, 1.0) for step in taken(changed))))
        return {"ttft_s": 0.4, "itl_s": gap}

    return of


def planned(**factors):
    return plan(STEPS, kept_shares(SHARES), slo=SLO, latency_s=latencies(**factors))


def test_a_step_that_breaks_the_bound_is_not_offered_and_says_so():
    found = planned(batch=2.0)
    assert set(found.best.ids) == {"shrink", "graphs"}
    assert not found.best.breaks
    batch = next(s for s in found.steps if s.id == "batch")
    assert batch.rank is None
    assert batch.why_not == (
        "not offered: with it the time between tokens would be 0.16 s at p95, over the SLO's 0.1 s"
    )
    assert batch.standalone.point_share == pytest.approx(0.5)
    assert [(b.what, b.seconds, b.bound_s) for b in batch.breaks] == [("itl_s", 0.16, 0.1)]


def test_what_the_bound_costs_stands_beside_the_plan():
    found = planned(batch=2.0)
    assert set(found.unbound.ids) == set(SHARES)
    assert found.unbound.cost == pytest.approx(0.36)
    assert {b.after for b in found.unbound.breaks} >= {"batch"}
    assert planned().unbound is None


def test_a_step_waits_for_those_that_make_room_for_it():
    """Batching breaks the bound until the weights have shrunk."""
    found = planned(batch=1.6, shrink=0.6)
    assert set(found.best.ids) == set(SHARES)
    assert found.best.ids.index("shrink") < found.best.ids.index("batch")
    assert not found.best.breaks
    assert next(s for s in found.steps if s.id == "batch").breaks  # alone it would


def test_where_the_bound_is_broken_today_nothing_makes_it_worse_and_the_end_mends_it_if_it_can():
    late = {"ttft_s": 1.0, "itl_s": 0.05}
    mended = plan(STEPS, kept_shares(SHARES), slo=late, latency_s=latencies(shrink=0.5, batch=1.2))
    assert set(mended.best.ids) == set(SHARES)
    assert mended.best.latency_s["itl_s"] == pytest.approx(0.048)
    assert mended.best.ids[0] != "batch"
    broken = plan(STEPS, kept_shares(SHARES), slo=late, latency_s=latencies(batch=1.2))
    assert set(broken.best.ids) == {"shrink", "graphs"}
    assert {b.what for b in broken.best.breaks} == {"itl_s"}


def test_a_latency_that_nobody_can_tell_breaks_nothing():
    found = plan(STEPS, kept_shares(SHARES), slo=SLO)
    assert set(found.best.ids) == set(SHARES)


def test_conventional_orders_are_marked_with_what_they_break():
    steps = [make("weight-quantization"), make("continuous-batching")]
    shares = {"weight-quantization": (0.8, 0.8), "continuous-batching": (0.5, 0.5)}
    found = plan(
        steps, kept_shares(shares), slo=SLO, latency_s=latencies(**{"continuous-batching": 2.0})
    )
    assert found.best.ids == ("weight-quantization",)
    for order in found.conventional:
        assert [b.after for b in order.breaks][-1] == order.ids[-1]
    marginals = [s.marginal.point_share for s in found.steps if s.rank]
    assert math.fsum(marginals) == pytest.approx(found.joint.point_share, abs=1e-12)


worths = st.builds(
    lambda cost, ttft, itl: Worth(cost=cost, latency_s={"ttft_s": ttft, "itl_s": itl}),
    *[st.integers(1, 30).map(lambda n: n / 10)] * 3,
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.integers(), worths, min_size=1))
def test_the_front_beats_all_others_and_nobody_on_it_beats_another(tried):
    front = pareto(tried)
    figures = {k: (w.cost, w.latency_s["itl_s"], w.latency_s["ttft_s"]) for k, w in tried.items()}

    def covers(one, other):
        pairs = zip(figures[one], figures[other], strict=True)
        return all(a <= b * (1 + ALIKE_SHARE) for a, b in pairs)

    assert all(any(covers(one, other) for one in front) for other in tried)
    assert not any(covers(one, other) for one, other in itertools.combinations(front, 2))
    assert figures[front[0]][0] == min(cost for cost, _, _ in figures.values())


def test_the_front_holds_the_cheapest_and_the_fastest():
    found = planned(batch=2.0, graphs=0.9)
    assert set(found.front[0].ids) == set(SHARES)
    assert found.front[0].breaks
    fastest = min(found.front, key=lambda point: point.latency_s["itl_s"])
    assert set(fastest.ids) == {"shrink", "graphs"}
    assert not fastest.breaks


def test_a_bound_of_today_is_missed_only_beyond_the_grain():
    bounds = Bounds(slo={"itl_s": 0.1}, today={"itl_s": 0.2})

    def missed(seconds):
        return bounds.missed(Worth(cost=1.0, latency_s={"itl_s": seconds}))

    assert [missed(s) for s in (0.1, 0.15, 0.203, 0.21)] == [0, 1, 1, None]


def test_only_what_gets_worse_speaks_against_a_step():
    """A bound that is broken today and still is, but less, is no reason."""
    bounds = Bounds(slo={"ttft_s": 2.0, "itl_s": 0.2}, today={"ttft_s": 4.3, "itl_s": 0.06})
    worth = Worth(cost=1.0, latency_s={"ttft_s": 2.2, "itl_s": 0.3})
    assert {b.what for b in bounds.breaches(worth)} == {"ttft_s", "itl_s"}
    assert [b.what for b in bounds.worsened(worth)] == ["itl_s"]
    assert bounds.missed(worth) is None


def rows(count, gap_s=1.0):
    return tuple(
        Request(prompt_tokens=8 + n, output_tokens=2, arrival_s=gap_s * n) for n in range(count)
    )


def test_short_traffic_is_its_own_sample():
    traffic = Traffic(source="", requests=rows(2 * SAMPLE_REQUESTS))
    assert sampled(traffic) is traffic


@pytest.mark.parametrize("window_s", [None, 40_000.0])
def test_a_sample_keeps_rates_and_spans_the_whole(window_s):
    traffic = Traffic(source="", requests=rows(10 * SAMPLE_REQUESTS), window_s=window_s)
    found = sampled(traffic)
    assert len(found.requests) == SAMPLE_REQUESTS
    assert found.requests[0].prompt_tokens == 8
    assert found.requests[-1].prompt_tokens == traffic.requests[-1].prompt_tokens
    gaps = [b.arrival_s - a.arrival_s for a, b in itertools.pairwise(found.requests)]
    assert min(gaps) == max(gaps) == 1.0
    # the last window holds the idle end of the whole
    assert found.window_s == (None if window_s is None else 1500 + (window_s - 19_500))


def test_many_streams_make_a_longer_sample():
    traffic = Traffic(source="", requests=rows(30_000), concurrency=1000)
    assert len(sampled(traffic).requests) == 8000


def test_the_search_looks_at_the_sample_and_the_figures_are_those_of_the_whole():
    """Costs of the whole are twice those of the sample, so each figure tells where it is from."""
    long = Traffic(source="", requests=rows(10 * SAMPLE_REQUESTS))
    seen = {"whole": 0, "part": 0}

    def kept(step_id):
        def change(before, edge):
            del edge
            marks = " ".join(sorted({*before.traffic.source.split(), step_id}))
            return replace(before, traffic=replace(before.traffic, source=marks))

        return replace(make(step_id), change=change)

    def cost(changed):
        whole = len(changed.traffic.requests) > SAMPLE_REQUESTS
        seen["whole" if whole else "part"] += 1
        drawn = changed.step_time.coefficients["overhead"]
        return (2.0 if whole else drawn) * 0.8 ** len(changed.traffic.source.split())

    start = replace(scenario(draws=(0.9, 1.1)), traffic=long)
    found = plan([kept(f"s{n}") for n in range(6)], cost, start)
    assert found.sampled
    assert found.exact
    assert len(found.best.ids) == 6
    assert found.present_cost == 2.0
    assert found.best.cost == pytest.approx(2.0 * 0.8**6)
    assert seen["part"] >= 2**6
    assert seen["whole"] < 40
    assert sum(seen.values()) <= 2 * expected_costs(6, 8)

"""The real steps, planned over the real simulation."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from costaudit.plan.bounds import Worth
from costaudit.plan.lattice import BEAM_WIDTH, EXACT_UP_TO, best_order
from costaudit.plan.plan import Verdict
from costaudit.plan.pricer import pricer_of
from costaudit.plan.search import search
from costaudit.playbook.load import load
from costaudit.playbook.step import Applies, Situation
from costaudit.target.shape import ModelShape
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import Peaks, StepTime

pytestmark = pytest.mark.slow  # all of it together

STEPS = [entry.step for entry in load()]
SHAPE = ModelShape(
    name="eight billion", architecture="llama", layers=32, hidden=4096, ffn=14336, heads=32,
    kv_heads=8, head_dim=128, vocab=128256, max_context_tokens=8192,
)  # fmt: skip
METRICS = SimpleNamespace(
    target=SimpleNamespace(knobs={}, kind="in-process", engine="transformers", shape=SHAPE),
    device=SimpleNamespace(memory_bytes=80e9),
    workload=SimpleNamespace(slo={}, probe="rag-offline"),
    kv=SimpleNamespace(capacity_tokens=None, pressure=None),
    unknown={},
)
COEFFICIENTS = {
    "overhead": 2e-3,
    "sequences": 25e-6,
    "weights": 1.11,
    "kv": 1.14,
    "decode_compute": 1.67,
    "prefill_compute": 1.54,
}
RAG = tuple(
    Request(
        prompt_tokens=3000 + 40 * (n % 5),
        output_tokens=20 + 15 * (n % 7),
        prefix_id=n % 3,
        prefix_tokens=2800,
    )
    for n in range(100)
)


def scenario(**knobs):
    ordinary = {
        "batching": Batching.STATIC,
        "max_num_seqs": 8,
        "kv_layout": KvLayout.DYNAMIC,
        "kv_budget_tokens": 400_000,
    }
    return Scenario(
        shape=SHAPE,
        step_time=StepTime(
            shape=SHAPE,
            peaks=Peaks(flops_per_s=9e14, bandwidth_bytes_per_s=3.3e12),
            param_bytes=2.0,
            kv_element_bytes=2.0,
            coefficients=COEFFICIENTS,
            draws=tuple(
                {k: v * (1 + d * (n - 3)) for n, (k, v) in enumerate(COEFFICIENTS.items())}
                for d in (-0.02, 0.02)
            ),
            error_p90_share=0.08,
        ),
        knobs=Knobs(**ordinary | knobs),
        traffic=Traffic(source="rag", requests=RAG, concurrency=32),
        prices=Prices(usd_per_device_h=3.0),
        device_kind="cuda",
    )


def planned(start):
    situation = Situation(metrics=METRICS, scenario=start, outcome=simulate(start))
    return search(STEPS, situation, price=lambda s: Worth(cost=usd_per_1m(s)), unit="usd")


def usd_per_1m(changed):
    outcome = simulate(changed)
    tokens = outcome.prompt_tokens + outcome.output_tokens
    return outcome.busy_s / 3600 * changed.prices.usd_per_device_h / tokens * 1e6


@pytest.fixture(scope="module")
def rag():
    return planned(scenario())


def test_on_rag_traffic_the_prefix_cache_is_reached_through_pages_and_batching(rag):
    """Without blocks there is nothing to share: paging comes first though it saves nothing."""
    by_id = {s.id: s for s in rag.steps}
    ids = rag.best.ids
    assert ids.index("paged-kv-cache") < ids.index("prefix-caching")
    assert by_id["paged-kv-cache"].standalone.point_share == pytest.approx(0, abs=0.01)
    assert by_id["prefix-caching"].standalone.share.low > 0.2
    assert rag.joint.share.low > by_id["prefix-caching"].standalone.share.low
    assert by_id["reserved-capacity"].verdict is Verdict.CANNOT_TELL


def test_the_best_order_ends_no_dearer_than_the_conventional_ones(rag):
    assert [order.name for order in rag.conventional] == ["quantize first", "page and batch first"]
    for order in rag.conventional:
        assert rag.best.cost <= order.cost
        assert order.cautious_path[0] == pytest.approx(rag.present_cost)
    first, second = (order.cautious_path[-1] for order in rag.conventional)
    assert first == pytest.approx(second)  # the same steps in the end


def test_conventional_orders_pay_more_on_the_way(rag):
    """Quantizing first leaves more of the bill standing after two steps."""
    after_two = [order.cautious_path[2] for order in (rag.best, *rag.conventional)]
    assert after_two[0] < after_two[1]


def test_what_is_already_done_is_not_offered_again():
    done = scenario(batching=Batching.CONTINUOUS, kv_layout=KvLayout.PAGED, prefix_caching=True)
    found = {s.id: s for s in planned(done).steps}
    for step_id in ("continuous-batching", "paged-kv-cache", "prefix-caching"):
        assert found[step_id].verdict is Verdict.DOES_NOT_APPLY
        assert "already" in found[step_id].why_not


def test_with_pages_in_place_the_prefix_cache_stands_alone():
    paged = scenario(batching=Batching.CONTINUOUS, kv_layout=KvLayout.PAGED)
    found = planned(paged)
    assert "prefix-caching" in found.best.ids
    assert "paged-kv-cache" not in found.best.ids


def test_planning_takes_seconds():
    began = time.process_time()
    planned(scenario())
    assert time.process_time() - began < 15


def test_the_beam_finds_the_exact_set_of_real_steps():
    start = scenario()
    situation = Situation(metrics=METRICS, scenario=start, outcome=simulate(start))
    steps = [s for s in STEPS if isinstance(s.assess(situation), Applies)][:EXACT_UP_TO]
    assert len(steps) > 5
    pricer = pricer_of(steps, start, lambda s: Worth(cost=usd_per_1m(s)), 0)

    def cost(ids):
        return pricer.cautious(frozenset(ids)).cost

    exact, beam = best_order(steps, cost), best_order(steps, cost, width=BEAM_WIDTH)
    assert cost(beam) == pytest.approx(cost(exact))


def test_a_bill_under_a_reserved_price_needs_demand_that_is_there():
    """A commitment is taken last, and only by traffic that shows its demand."""
    week_s = 7 * 86_400.0
    start = replace(
        scenario(),
        traffic=Traffic(source="log", requests=RAG[:20], window_s=week_s),
        prices=Prices(usd_per_device_h=3.0, reserved_usd_per_device_h=1.0, reserved_term="1y"),
    )
    outcome = simulate(start)
    busy = replace(outcome, window_s=week_s, demand_idle_s=0.4 * week_s)

    def cost(changed):
        """On demand a device is given back while idle; a reserved one is paid throughout."""
        prices = changed.prices
        needed = simulate(changed).busy_s / outcome.busy_s * 0.6 * week_s
        if prices.reserved:
            return max(week_s, needed) * prices.reserved_usd_per_device_h
        return needed * prices.usd_per_device_h

    situation = Situation(metrics=METRICS, scenario=start, outcome=busy)
    found = search(STEPS, situation, price=lambda s: Worth(cost=cost(s)), unit="usd")
    reserved = next(s for s in found.steps if s.id == "reserved-capacity")
    assert reserved.standalone.share.low > 0.3  # 1 - 1.1/(0.6·3), were it made today
    assert reserved.rank is None  # after the others the device is needed too rarely
    assert "does not pay here" in reserved.why_not
    stranded = reserved.stranded
    assert stranded.engineering_first == found.best.cost
    assert stranded.commit_first > 1.5 * stranded.engineering_first
    assert stranded.term == "1y"
    assert found.conventional[0].ids[-1] == "reserved-capacity"
    assert found.conventional[0].cost > found.best.cost

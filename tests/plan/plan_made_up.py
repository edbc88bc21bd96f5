"""Made-up steps, scenarios and costs, in which the set of steps taken can be read."""

from __future__ import annotations

from types import SimpleNamespace

from costaudit.plan.bounds import Worth
from costaudit.plan.search import search
from costaudit.playbook.step import (
    Applies,
    Confidence,
    Edge,
    Effort,
    Risk,
    Step,
)
from costaudit.target.shape import ModelShape
from costaudit.traffic.traffic import Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.steptime import Peaks, StepTime

SHAPE = ModelShape(
    name="tiny", architecture="llama", layers=1, hidden=8, ffn=16, heads=1, kv_heads=1,
    head_dim=8, vocab=32, max_context_tokens=64,
)  # fmt: skip


def scenario(*, draws=(), error=None):
    return Scenario(
        shape=SHAPE,
        step_time=StepTime(
            shape=SHAPE,
            peaks=Peaks(flops_per_s=1e12, bandwidth_bytes_per_s=1e11),
            param_bytes=2,
            kv_element_bytes=2,
            coefficients={"overhead": 1.0},
            draws=tuple({"overhead": d} for d in draws),
            error_p90_share=error,
        ),
        knobs=Knobs(
            batching=Batching.STATIC,
            max_num_seqs=1,
            kv_layout=KvLayout.PAGED,
            kv_budget_tokens=1000,
        ),
        traffic=Traffic(source="", requests=()),
        prices=Prices(usd_per_device_h=1.0),
    )


def make(step_id, answer=None, **fields):
    """A step that writes its id and edge into the traffic's source, where a cost can read it."""

    def change(before, edge):
        marks = {*before.traffic.source.split(), f"{step_id}:{edge}"}
        traffic = Traffic(source=" ".join(sorted(marks)), requests=())
        return Scenario(
            shape=before.shape, step_time=before.step_time, knobs=before.knobs,
            traffic=traffic, prices=before.prices,
        )  # fmt: skip

    ordinary = {
        "title": step_id,
        "category": "test",
        "effort": Effort.DAYS,
        "risk": Risk.NONE,
        "confidence": Confidence.SIMULATED,
        "snippets": {},
    }
    return Step(
        id=step_id,
        assess=lambda _situation: answer or Applies(evidence=()),
        change=change,
        **ordinary | fields,
    )


def taken(changed):
    return {mark.split(":")[0]: mark.split(":")[1] for mark in changed.traffic.source.split()}


def kept_shares(shares):
    """A cost that multiplies what each step leaves over: shares[id] = (cautious, hopeful)."""

    def cost(changed):
        left = changed.step_time.coefficients["overhead"]
        for step_id, edge in taken(changed).items():
            left *= shares[step_id][edge == Edge.HIGH]
        return left

    return cost


def plan(steps, cost, start=None, *, slo=None, latency_s=lambda _: {}, **options):
    """A plan by costs and, where an SLO is given, latencies of the steps taken."""
    situation = SimpleNamespace(
        scenario=start or scenario(),
        metrics=SimpleNamespace(workload=SimpleNamespace(slo=slo or {})),
    )

    def price(changed):
        return Worth(cost=cost(changed), latency_s=latency_s(changed))

    return search(steps, situation, price=price, unit="usd", **options)

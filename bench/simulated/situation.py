"""The scenario of the bench, and a plan over it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.bill.dollars import device_s_per_1m
from costaudit.plan.bounds import Worth
from costaudit.plan.search import search
from costaudit.playbook.latency import latencies_s
from costaudit.playbook.load import load
from costaudit.playbook.step import Situation
from costaudit.target.shape import ModelShape
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import Peaks, StepTime
from simulated.measured import metrics_of

if TYPE_CHECKING:
    from costaudit.plan.plan import Plan
    from costaudit.traffic.traffic import Traffic

# Llama-3.1-8B in 16 bits on an H100 SXM: datasheet peaks, usual efficiencies.
SHAPE = ModelShape(
    name="Llama-3.1-8B",
    architecture="LlamaForCausalLM",
    layers=32,
    hidden=4096,
    ffn=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128256,
    max_context_tokens=131072,
)
COEFFICIENTS = {
    "overhead": 2e-3,
    "sequences": 25e-6,
    "weights": 1.11,
    "kv": 1.14,
    "decode_compute": 1.67,
    "prefill_compute": 1.54,
}
DRAWN = (-0.04, -0.03, -0.02, -0.01, 0.01, 0.02, 0.03, 0.04)


def scenario_of(traffic: Traffic) -> Scenario:
    """The usual settings of vLLM on one device."""
    step_time = StepTime(
        shape=SHAPE,
        peaks=Peaks(flops_per_s=989e12, bandwidth_bytes_per_s=3.35e12),
        param_bytes=2.0,
        kv_element_bytes=2.0,
        coefficients=COEFFICIENTS,
        draws=tuple(
            {k: v * (1 + d * (n - 3)) for n, (k, v) in enumerate(COEFFICIENTS.items())}
            for d in DRAWN
        ),
        error_p90_share=0.08,
    )
    knobs = Knobs(
        batching=Batching.CONTINUOUS,
        max_num_seqs=256,
        kv_layout=KvLayout.PAGED,
        kv_budget_tokens=400_000,
        kv_block_tokens=16,
        max_num_batched_tokens=8192,
        prefix_caching=True,
    )
    return Scenario(
        shape=SHAPE,
        step_time=step_time,
        knobs=knobs,
        traffic=traffic,
        prices=Prices(usd_per_device_h=3.0),
        device_kind="cuda",
    )


def a_plan(scenario: Scenario) -> tuple[Plan, int]:
    """All steps of the playbook over static batches, as transformers runs them.

    Also, how many simulations that took.
    """
    knobs = replace(
        scenario.knobs,
        batching=Batching.STATIC,
        kv_layout=KvLayout.DYNAMIC,
        max_num_seqs=32,
        max_num_batched_tokens=None,
        prefix_caching=False,
    )
    start = replace(scenario, knobs=knobs)
    told: list[Scenario] = []

    def price(changed: Scenario) -> Worth:
        told.append(changed)
        outcome = simulate(changed)
        return Worth(cost=device_s_per_1m(changed, outcome), latency_s=latencies_s(outcome))

    outcome = simulate(start)
    metrics = metrics_of(start, outcome)
    situation = Situation(metrics=metrics, scenario=start, outcome=outcome)
    steps = [entry.step for entry in load()]
    return search(steps, situation, price=price, unit="device-s"), len(told)

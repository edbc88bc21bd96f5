"""Scenarios small enough to count by hand."""

from __future__ import annotations

from drawn_scenarios import SHAPE, STEP_TIME

from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario


def make(requests, *, concurrency=None, window_s=None, **knobs):
    given_knobs = {
        "batching": Batching.STATIC,
        "max_num_seqs": 4,
        "kv_layout": KvLayout.DYNAMIC,
        "kv_budget_tokens": 10_000,
        **knobs,
    }
    return Scenario(
        shape=SHAPE,
        step_time=STEP_TIME,
        knobs=Knobs(**given_knobs),
        traffic=Traffic(
            source="made", requests=tuple(requests), concurrency=concurrency, window_s=window_s
        ),
        prices=Prices(usd_per_device_h=1.0),
    )


def equal_requests(count, prompt=10, output=5, **fields):
    return [Request(prompt_tokens=prompt, output_tokens=output, **fields) for _ in range(count)]

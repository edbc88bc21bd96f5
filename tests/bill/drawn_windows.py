"""Windows of any kind that fit into their memory: shapes, step times, traffic and knobs."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import strategies as st
from model_shapes import DENSE, LATENT, WINDOWED

from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.form import COLUMNS
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.steptime import Peaks, StepTime

NARROW = replace(WINDOWED, windows=(8, None, 32, 48, None, 8))
SECONDS_COLUMNS = {"overhead", "sequences", "link_latency"}
MOST_TOKENS = 100  # of one request, prompt and output


@st.composite
def step_times(draw):
    return StepTime(
        shape=draw(st.sampled_from((DENSE, NARROW, LATENT))),
        peaks=Peaks(
            flops_per_s=draw(st.floats(1e10, 1e13)),
            bandwidth_bytes_per_s=draw(st.floats(1e9, 1e12)),
            link_bytes_per_s=draw(st.none() | st.floats(1e9, 1e12)),
            devices=draw(st.sampled_from([1, 2, 8])),
        ),
        param_bytes=draw(st.sampled_from([4.0, 1.0])),
        kv_element_bytes=draw(st.sampled_from([4.0, 1.0])),
        coefficients={
            name: draw(st.floats(0.0, 1e-3 if name in SECONDS_COLUMNS else 4.0)) for name in COLUMNS
        },
    )


def knobs():
    return st.builds(
        Knobs,
        batching=st.sampled_from(Batching),
        max_num_seqs=st.integers(1, 6),
        kv_layout=st.sampled_from(KvLayout),
        kv_budget_tokens=st.integers(MOST_TOKENS + 16, 600),
        kv_block_tokens=st.sampled_from([4, 16]),
        max_num_batched_tokens=st.none() | st.integers(6, 80),
        prefix_caching=st.booleans(),
        max_model_len=st.just(MOST_TOKENS),
        batch_wait_s=st.sampled_from([0.0, 0.1, math.inf]),
    )


@st.composite
def windows(draw, closed=None):
    """`closed`: with a fixed number of clients, or with arrivals; None: either."""
    request = st.builds(
        Request,
        prompt_tokens=st.integers(1, 60),
        output_tokens=st.integers(1, 40),
        prefix_id=st.sampled_from([None, 0, 1]),
        prefix_tokens=st.just(32),
        arrival_s=st.floats(0, draw(st.sampled_from([0.02, 0.3, 2.0]))),
    )
    requests = draw(st.lists(request, min_size=1, max_size=10))
    if closed is None:
        closed = draw(st.booleans())
    step_time = draw(step_times())
    return Scenario(
        shape=step_time.shape,
        step_time=step_time,
        knobs=draw(knobs()),
        traffic=Traffic(
            source="drawn",
            requests=tuple(sorted(requests, key=lambda r: r.arrival_s)),
            concurrency=draw(st.integers(1, 6)) if closed else None,
            window_s=4.0,
        ),
        prices=Prices(usd_per_device_h=2.0),
        devices=draw(st.integers(1, 4)),
    )

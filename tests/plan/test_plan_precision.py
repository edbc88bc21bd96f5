"""Which precision comes first follows from the fitted shares, not from a rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_plan_playbook import COEFFICIENTS, METRICS, STEPS, scenario

from costaudit.bill.dollars import device_s_per_1m
from costaudit.plan.bounds import Worth
from costaudit.plan.search import search
from costaudit.playbook.step import Situation
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, KvLayout
from costaudit.whatif.simulate import simulate

PRECISION = [step for step in STEPS if step.category == "precision"]


def planned(streams, prompt, output, *, kv_budget_tokens=2_000_000, **coefficients):
    """The precisions alone, on a server that batches continuously so many streams."""
    start = scenario(
        batching=Batching.CONTINUOUS,
        kv_layout=KvLayout.PAGED,
        max_num_seqs=streams,
        kv_budget_tokens=kv_budget_tokens,
    )
    rows = (Request(prompt_tokens=prompt, output_tokens=output),) * (3 * streams)
    fitted = replace(start.step_time, coefficients=COEFFICIENTS | coefficients, draws=())
    start = replace(
        start,
        step_time=fitted,
        traffic=Traffic(source="", requests=rows, concurrency=streams),
    )
    situation = Situation(metrics=METRICS, scenario=start, outcome=simulate(start))
    return search(
        PRECISION, situation, price=lambda s: Worth(cost=device_s_per_1m(s)), unit="device_s"
    )


def first(found):
    return found.best.ids[0] if found.best.ids else None


@pytest.mark.parametrize("streams", [1, 8, 32])
def test_few_rows_per_step_want_their_weights_in_four_bits(streams):
    assert first(planned(streams, 100, 400)) == "weight-quantization"


@pytest.mark.parametrize(("streams", "prompt", "output"), [(256, 100, 200), (16, 3000, 20)])
def test_many_rows_or_long_prompts_want_eight_bits_in_both(streams, prompt, output):
    found = planned(streams, prompt, output)
    assert first(found) == "w8a8"
    assert "weight-quantization" not in found.best.ids


def test_the_two_never_stand_in_one_order():
    for streams in (8, 64, 256):
        ids = planned(streams, 100, 300).best.ids
        assert not {"w8a8", "weight-quantization"} <= set(ids)


def test_the_cache_is_quantized_only_where_reading_it_or_its_room_binds():
    short = planned(16, 100, 200)
    assert "kv-cache-quantization" not in short.best.ids
    read = planned(128, 6000, 600, kv=1.5)
    assert "kv-cache-quantization" in read.best.ids
    crowded = planned(64, 2000, 600, kv_budget_tokens=30_000)
    assert first(crowded) == "kv-cache-quantization"


def test_where_overhead_rules_no_precision_saves_much():
    found = planned(8, 100, 200, overhead=50e-3)
    assert found.joint is None or found.joint.share.high < 0.15

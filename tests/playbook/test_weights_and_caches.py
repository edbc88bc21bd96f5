"""Memory that lighter weights leave, int8 as it was timed here, and a cache allocated once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playbook_situation import scenario

from costaudit.playbook.load import load
from costaudit.playbook.memory import used_bytes
from costaudit.playbook.step import Edge
from costaudit.playbook.steps.static_kv_cache import stretch
from costaudit.target.load import decode_load
from costaudit.whatif.scenario import KvLayout
from costaudit.whatif.simulate import simulate

STEPS = {entry.step.id: entry.step for entry in load()}


@pytest.mark.parametrize("step", ["weight-quantization", "w8a8"])
def test_a_gpu_gives_the_memory_of_the_weights_to_the_pool(step):
    before = scenario({"knobs": {"kv_budget_tokens": 20_000}})
    after = STEPS[step].change(before, Edge.LOW)
    freed_bytes = 6.98e9 * (2 - after.step_time.param_bytes)  # 32 layers; tables stay at 16 bits
    assert after.knobs.kv_budget_tokens == pytest.approx(20_000 + freed_bytes / 131_072, rel=0.01)
    assert used_bytes(after) == pytest.approx(used_bytes(before), rel=1e-4)


@pytest.mark.parametrize("changes", [{"device_kind": "cpu"}, {"step_time": {"free": True}}])
def test_a_pool_with_a_size_of_its_own_stays(changes):
    before = scenario({"knobs": {"kv_budget_tokens": 20_000}, **changes})
    after = STEPS["weight-quantization"].change(before, Edge.LOW)
    assert after.knobs.kv_budget_tokens == 20_000


def test_where_memory_sets_the_batch_lighter_weights_widen_it():
    knobs = {"kv_budget_tokens": 3_000, "kv_layout": "paged", "batching": "continuous"}
    before = scenario({"knobs": knobs, "traffic": {"repeat": 16, "concurrency": 64}})
    after = STEPS["weight-quantization"].change(before, Edge.LOW)
    assert after.knobs.max_num_seqs > before.knobs.max_num_seqs
    starved = replace(after, knobs=before.knobs)
    assert simulate(after).window_s < simulate(starved).window_s


def test_int8_is_predicted_from_what_was_timed_here():
    before = scenario({"device_kind": "cpu"})
    timed = replace(before, int8_speedup=(2.5, 12.0))
    low, high = (STEPS["weight-quantization"].change(timed, edge) for edge in Edge)
    weights_s = before.step_time.coefficients["weights"] * before.step_time.param_bytes
    for after, faster in ((low, 2.5 / 1.15), (high, 2.5 * 1.15)):
        seconds = after.step_time.coefficients["weights"] * after.step_time.param_bytes
        assert weights_s / seconds == pytest.approx(faster)
    assert low.step_time.peaks.flops_per_s == pytest.approx(
        before.step_time.peaks.flops_per_s * 12 / 1.15
    )


def test_a_static_cache_reads_what_it_reserves_and_copies_nothing():
    rows = [{"prompt_tokens": p, "output_tokens": o, "batch": 0} for p, o in ((100, 40), (60, 20))]
    before = scenario({"traffic": {"requests": rows, "concurrency": 2}})
    assert stretch(before) == pytest.approx((100 + 40) / (100 + 20))
    low, high = (STEPS["static-kv-cache"].change(before, edge) for edge in Edge)
    kv = before.step_time.coefficients["kv"]
    assert low.step_time.coefficients["kv"] == pytest.approx(kv * 140 / 120)
    assert high.step_time.coefficients["kv"] == pytest.approx(kv * 140 / 120 / 3)
    assert low.knobs.kv_layout is KvLayout.STATIC
    assert low.knobs.max_model_len == 140
    assert STEPS["static-kv-cache"].change(low, Edge.LOW) == low


@pytest.mark.parametrize("layout", ["dynamic", "static"])
def test_a_model_in_this_process_unpacks_its_eight_bit_cache_before_it_attends(layout):
    before = scenario({"knobs": {"kv_layout": layout}})
    load = decode_load(seqs=64, context_tokens=4000)
    was = before.step_time.terms_s(load)["kv"]
    for edge, times in ((Edge.LOW, 2.5), (Edge.HIGH, 1.5)):  # reads 1 byte of 2; then writes, reads
        after = STEPS["kv-cache-quantization"].change(before, edge)
        assert after.step_time.terms_s(load)["kv"] == pytest.approx(times * was)


@pytest.mark.parametrize(
    ("step", "form"), [("w8a8", "fp8"), ("weight-quantization", "int4-weights")]
)
def test_few_bits_are_predicted_from_what_was_timed_on_this_gpu(step, form):
    timed = (form, ((1.0, 2.0), (8.0, 1.6), (512.0, 0.5)))
    before = scenario({"traffic": {"concurrency": 8}})
    seen = replace(before, low_bit=(timed, ("other", ((1.0, 9.0),))))
    weights_s = before.step_time.terms_s(decode_load(seqs=1, context_tokens=1))["weights"]
    kept = 0.07  # at most, of the weights in the output head
    for edge, faster in ((Edge.LOW, 1.6 / 1.15), (Edge.HIGH, 1.6 * 1.15)):
        after = STEPS[step].change(seen, edge)
        left_s = after.step_time.terms_s(decode_load(seqs=1, context_tokens=1))["weights"]
        assert weights_s / faster <= left_s <= weights_s * (kept + (1 - kept) / faster) * 1.001
        assert after.step_time != STEPS[step].change(before, edge).step_time

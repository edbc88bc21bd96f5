"""What the changes to scheduling, memory, devices and traffic do to a scenario."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playbook_situation import COEFFICIENTS, scenario, situation, step_time

from costaudit.measure.pressure import Pressure
from costaudit.playbook.admission import fitting
from costaudit.playbook.devices import cheapest, listed
from costaudit.playbook.load import load
from costaudit.playbook.memory import pool_tokens, used_bytes, weights_bytes, with_memory
from costaudit.playbook.sharing import repeated_share
from costaudit.playbook.step import Edge, Turn
from costaudit.playbook.steps.another_gpu import _saved_by_more
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Router
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import Peaks

STEPS = {entry.step.id: entry.step for entry in load()}
PAGED = {"batching": "continuous", "kv_layout": "paged"}
LONG = [{"prompt_tokens": 4000, "output_tokens": 20}, {"prompt_tokens": 4000, "output_tokens": 33}]


def changed(name, before, edge=Edge.LOW):
    return STEPS[name].change(before, edge)


def test_more_rows_share_each_reading_of_the_weights():
    before = scenario({"knobs": PAGED, "traffic": {"repeat": 16, "concurrency": 32}})
    after = changed("max-num-seqs", before)
    assert (before.knobs.max_num_seqs, after.knobs.max_num_seqs) == (8, 32)
    assert simulate(after).busy_s < 0.6 * simulate(before).busy_s


def test_a_cap_above_what_fits_comes_down_and_preempts_less():
    before = scenario(
        {
            "knobs": PAGED | {"max_num_seqs": 64, "kv_budget_tokens": 6000},
            "traffic": {"repeat": 16, "concurrency": 64},
        }
    )
    after = changed("max-num-seqs", before)
    assert after.knobs.max_num_seqs == fitting(before) == 10
    assert simulate(after).kv.preemptions < 0.5 * simulate(before).kv.preemptions


def test_a_larger_budget_takes_fewer_steps_and_longer_gaps():
    before = scenario(
        {
            "knobs": PAGED | {"max_num_batched_tokens": 512},
            "traffic": {"requests": LONG, "repeat": 16},
        }
    )
    small, large = simulate(before), simulate(changed("token-budget", before))
    assert large.steps < 0.5 * small.steps
    assert large.busy_s < small.busy_s
    assert large.gaps.quantile_s(0.99) > 2 * small.gaps.quantile_s(0.99)


def test_chunks_shorten_the_longest_gap():
    knobs = PAGED | {"chunked_prefill": False}
    before = scenario({"knobs": knobs, "traffic": {"requests": LONG, "repeat": 16}})
    whole, chunked = simulate(before), simulate(changed("chunked-prefill", before))
    assert max(chunked.longest_gap_s) < 0.8 * max(whole.longest_gap_s)


def test_memory_is_weights_and_pool_and_grows_in_the_pool_alone():
    before = scenario({"knobs": PAGED | {"kv_budget_tokens": 100_000}})
    token_bytes = 2 * 32 * 8 * 128 * 2
    weights = 2 * (6_979_321_856 + 2 * 4096 * 128_256)
    assert weights_bytes(before) == weights
    assert used_bytes(before) == weights + 100_000 * token_bytes
    assert pool_tokens(before, used_bytes(before)) == 100_000
    assert pool_tokens(before, weights / 2) == 0
    twice = with_memory(before, 2.0).knobs.kv_budget_tokens
    assert twice == 200_000 + weights // token_bytes
    blind = replace(before, step_time=step_time(free=True))
    assert with_memory(blind, 1.5).knobs.kv_budget_tokens == 150_000


def test_two_devices_hold_the_weights_once_and_pay_the_link():
    before = scenario(
        {
            "knobs": PAGED | {"kv_budget_tokens": 4000, "max_num_seqs": 32},
            "traffic": {"repeat": 16, "concurrency": 32},
        }
    )
    slow, fast = (changed("tensor-parallelism", before, edge) for edge in Edge)
    for after in (slow, fast):
        assert (after.devices, after.step_time.peaks.devices) == (2, 2)
        assert after.knobs.kv_budget_tokens > 20 * before.knobs.kv_budget_tokens
    assert simulate(slow).busy_terms_s["link"] > simulate(fast).busy_terms_s["link"] > 0
    assert 2 * simulate(fast).window_s < simulate(before).window_s  # device-seconds fall


def test_two_stages_cross_a_slow_link_far_less():
    before = scenario(
        {
            "knobs": PAGED | {"kv_budget_tokens": 4000, "max_num_seqs": 32},
            "traffic": {"repeat": 16, "concurrency": 32},
        }
    )
    staged = changed("pipeline-parallelism", before, Edge.LOW)
    peaks = staged.step_time.peaks
    assert (staged.devices, peaks.devices, peaks.stages) == (2, 1, 2)
    assert staged.knobs.kv_budget_tokens > 20 * before.knobs.kv_budget_tokens
    wide = changed("tensor-parallelism", before, Edge.LOW)
    there, here = (simulate(after).busy_terms_s["link"] for after in (wide, staged))
    assert there > 5 * here > 0
    assert 2 * simulate(staged).window_s < simulate(before).window_s  # device-seconds fall


def test_two_replicas_need_no_link_and_hold_the_weights_twice():
    links = COEFFICIENTS | {"link": 2.0, "link_latency": 50e-6}
    wide = scenario({"knobs": PAGED, "deployment": {"devices": 2}, "traffic": {"repeat": 16}})
    peaks = Peaks(flops_per_s=9e14, bandwidth_bytes_per_s=3.3e12, devices=2, link_bytes_per_s=25e9)
    wide = replace(wide, step_time=step_time(peaks=peaks, coefficients=links, draws=()))
    two = changed("replicas-instead", wide)
    assert (two.devices, two.replicas, two.step_time.peaks.devices) == (1, 2, 1)
    assert 2 * two.knobs.kv_budget_tokens < wide.knobs.kv_budget_tokens
    assert simulate(two).busy_terms_s["link"] == 0 < simulate(wide).busy_terms_s["link"]


def test_the_same_opening_goes_to_the_same_replica():
    rows = [
        {"prompt_tokens": 2000, "output_tokens": 50, "prefix_id": n, "prefix_tokens": 1900}
        for n in (1, 2, 3, 4, 5)
    ]
    before = scenario(
        {
            "knobs": PAGED | {"prefix_caching": True, "kv_budget_tokens": 12_000},
            "deployment": {"replicas": 2},
            "traffic": {"requests": rows, "repeat": 12, "concurrency": 4},
        }
    )
    after = changed("prefix-affine-routing", before)
    assert after.router is Router.PREFIX_AFFINITY
    assert simulate(after).kv.prefix_hit_share > simulate(before).kv.prefix_hit_share


def test_drafts_take_fewer_steps_and_help_less_at_many_rows():
    def saved(rows):
        case = {
            "knobs": PAGED | {"max_num_seqs": rows},
            "traffic": {"repeat": 2 * rows, "concurrency": rows},
        }
        before = scenario(case)
        after = changed("speculative-decoding", before, Edge.HIGH)
        assert simulate(after).steps < simulate(before).steps
        return 1 - simulate(after).busy_s / simulate(before).busy_s

    assert saved(1) > 0.3
    assert saved(1) > saved(128)


def test_an_offline_job_fills_its_batches():
    before = scenario({"traffic": {"repeat": 16}})
    after = changed("batch-size", before)
    assert after.knobs.max_num_seqs == after.traffic.concurrency == 64
    assert simulate(after).busy_s < 0.7 * simulate(before).busy_s


def test_collected_batches_share_their_steps():
    before = scenario({"knobs": {"max_num_seqs": 1}, "traffic": {"repeat": 8}})
    after = changed("dynamic-batching", before)
    assert (after.knobs.max_num_seqs, after.knobs.batch_wait_s) == (16, 2e-3)
    assert simulate(after).busy_s < 0.6 * simulate(before).busy_s


def test_trimming_keeps_what_is_shared():
    row = {"prompt_tokens": 3000, "output_tokens": 10, "prefix_id": 1, "prefix_tokens": 1000}
    hashed = {"prompt_tokens": 64, "output_tokens": 5, "block_hashes": (1, 2, 3, 4)}
    before = scenario({"traffic": {"requests": [row, hashed]}})
    first, second = changed("prompt-trimming", before, Edge.HIGH).traffic.requests
    assert (first.prompt_tokens, first.prefix_tokens) == (2000, 1000)
    assert (second.prompt_tokens, second.block_hashes) == (32, (1, 2))


def test_what_repeats_is_counted_in_whole_blocks():
    rows = (
        Request(prompt_tokens=64, output_tokens=1, block_hashes=(1, 2, 3, 4)),
        Request(prompt_tokens=64, output_tokens=1, block_hashes=(1, 2, 5, 6)),
    )
    traffic = Traffic(source="", requests=rows)
    assert repeated_share(traffic, 16) == pytest.approx(32 / 128)
    assert repeated_share(traffic, 64) == 0


def test_idle_replicas_go_and_the_rest_is_not_overrun():
    rows = [{"prompt_tokens": 400, "output_tokens": 50, "arrival_s": 2.0 * n} for n in range(30)]
    before = scenario(
        {
            "knobs": PAGED,
            "deployment": {"replicas": 4},
            "traffic": {"requests": rows, "concurrency": 0, "window_s": 60.0},
        }
    )
    after = changed("autoscaling", before)
    assert after.replicas == 1
    assert simulate(after).demand_idle_s < 0.3 * simulate(before).demand_idle_s


def test_twice_the_cores_at_the_same_bandwidth_do_not_help_decoding():
    row = {"prompt_tokens": 8, "output_tokens": 200}
    decoding = scenario(
        {"device_kind": "cpu", "traffic": {"requests": [row], "repeat": 8, "concurrency": 1}}
    )
    flops, bandwidth = _saved_by_more(decoding)
    assert flops < 0.02
    assert bandwidth > 0.25
    reading = scenario({"traffic": {"requests": [{"prompt_tokens": 8000, "output_tokens": 1}]}})
    flops, bandwidth = _saved_by_more(reading)
    assert flops > 0.4
    assert bandwidth < 0.02


def test_the_cheapest_device_sells_what_binds_and_has_room():
    assert len(listed()) > 8
    dear = scenario(
        {"knobs": PAGED | {"kv_budget_tokens": 200_000}, "prices": {"usd_per_device_h": 12.0}}
    )
    found = cheapest(dear)
    moved = changed("another-gpu", dear)
    assert moved.prices.usd_per_device_h == found.usd_per_device_h
    assert found.memory_bytes > weights_bytes(dear) + 100_000 * 131_072
    assert cheapest(replace(dear, prices=replace(dear.prices, usd_per_device_h=0.01))) is None
    assert cheapest(replace(dear, device_kind="cpu")) is None


def test_a_fused_kernel_never_makes_attention_slower():
    slow = scenario({"step_time": {"coefficients": COEFFICIENTS | {"prefill_attention": 10.0}}})
    low, high = (changed("attention-backend", slow, edge).step_time for edge in Edge)
    assert low.coefficients["prefill_attention"] == pytest.approx(1 / 0.35 - 1.54)
    assert high.coefficients["prefill_attention"] == 0.0
    fused = scenario({"step_time": {"coefficients": COEFFICIENTS | {"prefill_attention": 0.2}}})
    assert changed("attention-backend", fused) == fused


# A cache of half the bytes costs half the seconds per context token, whatever a byte costs.
@pytest.mark.parametrize("name", sorted(STEPS.keys() - {"kv-cache-quantization"}))
def test_no_step_without_a_roof_claims_bytes_or_flops(name):
    """Where shape or peaks are stand-ins, a step that applies touches neither peaks nor bytes."""
    blind = situation({"step_time": {"free": True}})
    answer = STEPS[name].assess(blind)
    if type(answer).__name__ == "Applies":
        after = changed(name, blind.scenario)
        assert after.step_time.peaks == blind.scenario.step_time.peaks
        assert after.step_time.param_bytes == blind.scenario.step_time.param_bytes


def test_only_what_sets_or_fits_something_has_a_turn_of_its_own():
    turns = {name: step.turn for name, step in STEPS.items() if step.turn is not Turn.FREE}
    assert turns == {
        "another-gpu": Turn.EARLY,
        "attention-backend": Turn.EARLY,
        "pipeline-parallelism": Turn.EARLY,
        "replicas-instead": Turn.EARLY,
        "static-kv-cache": Turn.EARLY,
        "tensor-parallelism": Turn.EARLY,
        "autoscaling": Turn.LATE,
        "batch-size": Turn.LATE,
        "kv-cache-quantization": Turn.KERNEL,
        "max-num-seqs": Turn.LATE,
        "w8a8": Turn.KERNEL,
        "weight-quantization": Turn.KERNEL,
    }


def test_what_the_pressure_ramp_measured_stands_beside_what_is_simulated():
    ramp = Pressure(ended="blocks ran out", audited_streams=2.0, spared_streams=9, full_streams=14)

    def pressed(case, step):
        seen = situation({"kind": "server", "given_knobs": {"max_num_seqs": 8}} | case)
        kv = replace(seen.metrics.kv, pressure=ramp)
        return STEPS[step].assess(replace(seen, metrics=replace(seen.metrics, kv=kv)))

    full = {
        "knobs": PAGED | {"kv_budget_tokens": 4000},
        "traffic": {"repeat": 8, "concurrency": 32},
        "given_knobs": {"gpu_memory_utilization": 0.5},
        "kv_outcome": {"preemptions": 3, "max_concurrency": 8},
    }
    for step, case in (
        ("kv-pool-size", full),
        ("max-num-seqs", full | {"given_knobs": {"max_num_seqs": 8}}),
    ):
        measured = {e.what: e.value for e in pressed(case, step).evidence if "ramp" in e.where}
        assert list(measured.values()) == [9, 14]
    assert "from 14 streams on" in pressed({"knobs": PAGED}, "kv-pool-size").why

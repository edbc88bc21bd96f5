from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.probe.draw import context_scale, draw
from costaudit.probe.workload import list_workloads, load_workload
from costaudit.record.fitting import fit_workload, lengths_of
from costaudit.record.kv import BLOCK_TOKENS, waste_by_layout
from costaudit.record.peaks import measure_peaks
from costaudit.record.speed import Speed, fit_speed
from costaudit.recording.rows import Phase, Role, Sample
from costaudit.target.load import decode_load, prefill_load

CHAT = load_workload("chat")


def fit(workload=CHAT, **others):
    plain = {
        "max_context_tokens": 1 << 20,
        "batch_size": 8,
        "budget_s": 1e9,
        "batch_s": lambda lengths: float(sum(p + o for p, o in lengths)),
        "seed": 0,
    }
    return fit_workload(workload, **{**plain, **others})


def test_nothing_is_changed_where_nothing_has_to_be():
    fitted = fit()
    assert fitted.scale == 1
    assert (fitted.scale_why, fitted.requests_why) == ("", "")
    assert fitted.requests == draw(CHAT)
    assert [len(b) for b in fitted.batches(8)] == [8, 8, 8, 8]


def test_fewer_requests_come_before_shorter_ones():
    whole = sum(r.prompt_tokens + r.output_tokens for r in draw(CHAT))
    fitted = fit(budget_s=whole * 0.6)
    assert (fitted.scale, len(fitted.requests)) == (1, 16)
    assert "16 of 32" in fitted.requests_why
    shorter = fit(budget_s=whole * 0.3)
    assert (shorter.scale, len(shorter.requests)) == (0.5, 16)
    assert "1/2" in shorter.scale_why


def test_a_small_difference_in_speed_changes_nothing():
    whole = sum(r.prompt_tokens + r.output_tokens for r in draw(CHAT))
    fitted = [fit(budget_s=whole * share) for share in (0.30, 0.33, 0.36)]
    assert fitted[0] == fitted[1] == fitted[2]


def test_the_context_scales_first_and_a_given_scale_rules():
    fitted = fit(max_context_tokens=2048)
    assert fitted.scale == context_scale(CHAT, 2048)
    assert "2048 tokens" in fitted.scale_why
    given_scale = fit(scale=0.25, budget_s=1.0)
    assert given_scale.scale == 0.25
    assert "0.25 as asked for" in given_scale.scale_why
    assert len(given_scale.requests) == 16


def test_an_impossible_budget_ends_with_the_least_there_is():
    fitted = fit(budget_s=0.0)
    assert len(fitted.requests) == 16
    assert all(r.prompt_tokens >= 1 and r.output_tokens >= 1 for r in fitted.requests)


@pytest.mark.parametrize("workload", list_workloads(), ids=lambda w: w.name)
def test_every_workload_fits_somewhere(workload):
    fitted = fit(workload, max_context_tokens=1024, budget_s=20_000.0)
    cost = sum(p + o for p, o in lengths_of(fitted.requests))
    assert cost <= 20_000


def row(task, load, seconds, number=0):
    return Sample(
        task=task,
        role=Role.FIT,
        phase=Phase.PREFILL if load.prefill_tokens else Phase.DECODE,
        round=number,
        t_s=0,
        seconds=seconds,
        wall_s=seconds,
        clock="thread_time",
        steps=1,
        prefill_tokens=load.prefill_tokens,
        prefill_pairs=load.prefill_pairs,
        prefill_seqs=load.prefill_seqs,
        decode_seqs=load.decode_seqs,
        decode_context_tokens=load.decode_context_tokens,
    )


def test_the_speed_for_planning_is_found_again():
    true = Speed(
        per_prefill_token_s=1e-4,
        per_pair_s=1e-8,
        per_step_s=0.01,
        per_sequence_s=5e-4,
        per_context_token_s=2e-7,
    )
    rows = []
    for tokens, cached in ((32, 0), (256, 0), (1024, 0), (256, 1024)):
        load = prefill_load(new_tokens=tokens, cached_tokens=cached)
        seconds = 1e-4 * load.prefill_tokens + 1e-8 * load.prefill_pairs
        rows += [row(f"p{tokens}@{cached}", load, seconds * f, n) for n, f in enumerate((1.3, 1))]
    for seqs, context in ((1, 64), (1, 2048), (8, 256), (16, 1024), (32, 64)):
        load = decode_load(seqs=seqs, context_tokens=context)
        seconds = 0.01 + 5e-4 * seqs + 2e-7 * load.decode_context_tokens
        rows.append(row(f"d{seqs}x{context}", load, seconds))
    found = fit_speed(rows)
    lengths = ((300, 20), (100, 40))
    assert found.batch_s(lengths) == pytest.approx(true.batch_s(lengths), rel=1e-3)


requests = st.tuples(st.integers(1, 300), st.integers(1, 100))
batches = st.lists(st.lists(requests, min_size=1, max_size=6), min_size=1, max_size=3)


@settings(deadline=None)
@given(batches=batches)
def test_waste_is_a_share_and_paging_wastes_no_more_than_a_block_per_request(batches):
    waste = waste_by_layout(batches)
    assert all(-1e-12 <= share < 1 for share in waste.values())
    assert waste["dynamic"] <= waste["static"] + 1e-12
    live = sum(o * p + o * (o + 1) // 2 for b in batches for p, o in b)
    steps = sum(o for b in batches for _, o in b)
    most = steps * (BLOCK_TOKENS - 1) / (live + steps * (BLOCK_TOKENS - 1))
    assert waste["paged"] <= most + 1e-12


def test_waste_by_hand():
    # One request alone, prompt 16 and 16 outputs: at step t a dynamic cache holds 16 + t tokens,
    # a static one 32, a paged one 32 from the first new token on.
    live = sum(16 + t for t in range(1, 17))
    waste = waste_by_layout([[(16, 16)]])
    assert waste["dynamic"] == 0
    assert waste["static"] == waste["paged"] == pytest.approx(1 - live / (32 * 16))


def test_peaks_divide_work_by_the_shortest_time(monkeypatch):
    pytest.importorskip("torch", reason="torch is not installed")
    from costaudit.record.engines.engine import Timing

    monkeypatch.setattr("costaudit.record.peaks._GEMM_SIZE", {"cpu": 64})
    monkeypatch.setattr("costaudit.record.peaks._COPY_BYTES", {"cpu": 1 << 20})
    times = iter([5.0, 2.0, 3.0, 4.0] * 1000)

    def timed(run):
        run()
        return Timing(seconds=next(times), wall_s=1.0, clock="thread_time")

    facts = {
        f.name: f.value
        for f in measure_peaks(timed, device="cpu", dtype="float32", budget_s=0, free_bytes=1 << 30)
    }
    assert facts["peak_flops"] == facts["peak_flops/float32"] == 2 * 64**3 / 2.0
    assert facts["peak_copy_bytes_per_s"] == 2 * (1 << 20) / 2.0
    assert facts["peak_read_bytes_per_s"] == (1 << 20) / 2.0
    assert facts["peak_bandwidth_bytes_per_s"] == facts["peak_copy_bytes_per_s"]

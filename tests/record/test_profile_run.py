from __future__ import annotations

from collections import Counter

import pytest
from fake_engine import KV_BYTES, SHAPE, FakeEngine, step_s
from profile_runs import record

from costaudit.measure.steps import reduce_rounds
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Phase, Role, State
from costaudit.recording.target_facts import target_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_peaks")]  # slow: all of it together

pytest.importorskip("torch", reason="torch is not installed: the peaks cannot be measured")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "fake.costaudit"
    told = []
    record(path, told=told, rounds=4, replay_rounds=3)
    with Recording.read(path) as recording:
        yield recording, told


def test_every_task_is_done_and_progress_never_goes_back(finished):
    recording, told = finished
    assert all(task.done for task in recording.tasks())
    fractions = [p.fraction for p in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert told[-1].seconds_left == 0
    assert all(p.seconds_left is not None for p in told[1:])


def test_probes_are_about_ten_to_fit_and_at_least_three_held_out(finished):
    recording, _ = finished
    steps = reduce_rounds(recording.samples(Role.FIT, Role.HELD_OUT))
    fitted = {s.task for s in steps if not s.held_out}
    held_out = {s.task for s in steps if s.held_out}
    assert 9 <= len(fitted) <= 12
    assert len(held_out) >= 3
    assert not fitted & held_out
    assert {s.rounds for s in steps} <= {4, 12}  # short pieces get three rounds to one
    assert 12 in {s.rounds for s in steps}
    assert {s.phase for s in steps if s.held_out} == {Phase.PREFILL, Phase.DECODE}


def test_a_sample_holds_seconds_per_step_and_its_minimum_is_near_the_truth(finished):
    recording, _ = finished
    for timed in reduce_rounds(recording.samples(Role.FIT, Role.HELD_OUT)):
        assert timed.seconds == pytest.approx(step_s(timed.load), rel=0.08)
    for sample in recording.samples(Role.FIT):
        assert sample.seconds * sample.steps >= 0.045


def test_rounds_are_interleaved_in_orders_of_their_own(finished):
    recording, _ = finished
    rows = recording.samples(Role.FIT, Role.HELD_OUT)
    orders = [[s.task for s in rows if s.round == n] for n in range(0, 12, 3)]
    assert [s.round for s in rows] == sorted(s.round for s in rows)
    assert len({tuple(order) for order in orders}) == 4
    assert len({tuple(sorted(order)) for order in orders}) == 1


def test_the_target_comes_back_from_its_facts(finished):
    recording, _ = finished
    target = target_of(recording.facts())
    assert target.shape == SHAPE
    assert target.knobs["max_num_seqs"].value == 8


def test_peaks_are_measured_and_the_cpu_has_no_datasheet(finished):
    device = finished[0].facts()["device"]
    assert device["peak_flops"].value == device["peak_flops/float32"].value > 1e8
    best = max(device[f"peak_{way}_bytes_per_s"].value for way in ("copy", "read"))
    assert device["peak_bandwidth_bytes_per_s"].value == best > 1e8
    assert device["datasheet_flops"].value is None
    assert device["datasheet_flops"].why


def test_kv_bytes_stand_beside_their_formula(finished):
    kv = finished[0].facts()["kv"]
    assert kv["bytes_per_token"].value == kv["bytes_per_token_formula"].value == KV_BYTES
    assert kv["capacity_tokens"].value == kv["budget_bytes"].value // KV_BYTES
    assert set(kv["waste_share"].value) == {"static", "dynamic", "paged"}


def test_the_workload_says_what_was_declared_and_what_was_run(finished):
    recording, _ = finished
    workload = recording.facts()["workload"]
    requests = recording.requests()
    assert workload["probe"].value == "chat"
    assert workload["requests"].value == len(requests)
    assert workload["scale"].value < 1
    assert "2048 tokens" in workload["scale"].why
    mean = sum(r.prompt_tokens for r in requests) / len(requests)
    assert workload["prompt_tokens"].value["mean"] == pytest.approx(mean)
    declared = workload["declared_prompt_tokens"].value["mean"]
    assert mean == pytest.approx(declared * workload["scale"].value, rel=0.1)


def test_replay_rows_hold_whole_spans_and_requests_the_fastest_round(finished):
    recording, _ = finished
    spans = recording.samples(Role.REPLAY)
    per_round = Counter((s.task, s.phase) for s in spans)
    assert set(per_round.values()) == {3}
    for span in (s for s in spans if s.phase is Phase.DECODE):
        mean_load = span.decode_seqs / span.steps
        assert mean_load == pytest.approx(8)
    for request in recording.requests():
        own = [s for s in spans if s.task == request.task and s.phase is Phase.PREFILL]
        assert request.ttft_s >= min(s.seconds for s in own) - 1e-5
        assert request.ttft_s <= max(s.seconds for s in own) + 1e-5
        assert request.e2e_s >= request.ttft_s
    itl = recording.facts()["replay"]["itl_s"].value
    assert itl["samples"] == sum(r.output_tokens - 1 for r in recording.requests())
    assert itl["p50"] <= itl["p95"] <= itl["p99"]
    envelope = recording.facts()["replay"]["envelope_s"].value
    for span in spans:
        assert envelope[span.task][span.phase] <= span.seconds * (1 + 1e-3)


def test_the_ladder_runs_one_alone_then_eight_identical(finished):
    spans = finished[0].samples(Role.LADDER)
    assert {s.task for s in spans} == {"ladder-1", "ladder-8"}
    one, eight = (
        next(s for s in spans if s.task == f"ladder-{n}" and s.phase is Phase.PREFILL)
        for n in (1, 8)
    )
    assert eight.prefill_tokens == 8 * one.prefill_tokens


def test_every_instrument_has_a_state_and_a_reason(finished):
    instruments = finished[0].instruments()
    assert instruments["host"].state is State.OK
    assert instruments["nvml"].state is State.OFF
    assert all(i.why for i in instruments.values() if i.state is not State.OK)


def test_no_fact_carries_text_of_a_prompt_or_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("COSTAUDIT_API_KEY", "sk-very-secret")
    path = record(tmp_path / "r.costaudit")
    assert b"sk-very-secret" not in path.read_bytes()


def test_two_runs_make_the_same_choices(tmp_path):
    plans = []
    for name, speed in (("a", 1.0), ("b", 1.04)):
        path = record(tmp_path / name, FakeEngine(speed=speed))
        with Recording.read(path) as recording:
            plans.append(
                [
                    {k: v for k, v in t.spec.items() if k != "est_s"}
                    for t in recording.tasks()
                    if t.kind in ("replay", "ladder", "step")
                ]
            )
    assert plans[0] == plans[1]


def test_a_slow_target_gets_smaller_probes_and_shorter_requests(tmp_path):
    path = record(tmp_path / "slow", FakeEngine(speed=0.002))
    with Recording.read(path) as recording:
        facts = recording.facts()
        assert facts["design"]["limits"].value["prefill_tokens"] < 2048
        assert "time budget" in facts["workload"]["scale"].why
        assert facts["workload"]["requests"].value == 16
        assert "16 of 32" in facts["workload"]["requests"].why


def test_what_the_user_gives_is_kept(tmp_path):
    path = record(tmp_path / "r", batch_size=4, kv_budget_bytes=1 << 20, scale=0.01)
    with Recording.read(path) as recording:
        facts = recording.facts()
    assert facts["knob"]["max_num_seqs"].value == 4
    assert facts["knob"]["max_num_seqs"].origin == "given"
    assert facts["kv"]["budget_bytes"].value == 1 << 20
    assert facts["workload"]["scale"].value == 0.01


def test_the_ramp_ends_at_the_budget_without_passing_it(tmp_path):
    path = record(tmp_path / "r", kv_budget_bytes=8 << 20)
    with Recording.read(path) as recording:
        kv = recording.facts()["kv"]
    rungs = [f.value for name, f in kv.items() if name.startswith("ramp/")]
    assert max(r["bytes"] for r in rungs) <= 8 << 20
    assert kv["max_concurrency"].value == max(r["seqs"] for r in rungs)
    assert "budget" in kv["ramp_ended"].value


def ramp_of(path):
    with Recording.read(path) as recording:
        kv = recording.facts()["kv"]
    return [f.value["seqs"] for n, f in kv.items() if n.startswith("ramp/")], kv


def test_the_ramp_stops_before_the_machine_runs_out(tmp_path, monkeypatch):
    from costaudit.record.meters.host import HostMemory

    scarce = HostMemory(total_bytes=1 << 30, available_bytes=24 << 20, limited_by="host")
    monkeypatch.setattr("costaudit.record.pressure.host_memory", lambda: scarce)
    path = record(tmp_path / "r", kv_budget_bytes=1 << 40)
    rungs, kv = ramp_of(path)
    assert kv["max_concurrency"].value == rungs[-1] >= 1
    assert kv[f"ramp/{rungs[-1]}"].value["bytes"] < 24 << 20
    assert rungs[-1] * 4 * kv["ramp_context_tokens"].value * KV_BYTES > 12 << 20
    assert "are free" in kv["ramp_ended"].value


def test_an_allocator_that_gives_up_ends_the_ramp_and_not_the_run(tmp_path):
    class Small(FakeEngine):
        def prepare_decode(self, *, seqs, context_tokens, steps):
            if seqs > 40:
                raise MemoryError("no more")
            return super().prepare_decode(seqs=seqs, context_tokens=context_tokens, steps=steps)

    rungs, kv = ramp_of(record(tmp_path / "r", Small()))
    assert 10 <= rungs[-1] <= 40
    assert kv["max_concurrency"].value == rungs[-1]
    assert "no more" in kv["ramp_ended"].value


def test_a_ramp_ended_by_time_knows_no_maximum(tmp_path, monkeypatch):
    monkeypatch.setattr("costaudit.record.pressure.PRESSURE_SHARE", 0.0)
    rungs, kv = ramp_of(record(tmp_path / "r"))
    assert len(rungs) == 1
    assert kv["max_concurrency"].value is None
    assert "time" in kv["max_concurrency"].why

"""From a recording to its observation, on a machine whose step time is known."""

from __future__ import annotations

import datetime as dt
import importlib.util
from pathlib import Path

import pytest

from costaudit.contrast.observe import observe
from costaudit.measure.derive import derive
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact, Gauge

TODAY = dt.date(2026, 3, 1)
_spec = importlib.util.spec_from_file_location(
    "synthetic_run", Path(__file__).parents[1] / "audit" / "synthetic_run.py"
)
synthetic = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(synthetic)


@pytest.fixture
def run(tmp_path):
    return synthetic.write_run(tmp_path / "run.costaudit")


def test_seconds_are_those_that_the_audit_bills(run):
    seen = observe(run, usd_per_device_h=2.0, today=TODAY)
    with Recording.read(run) as recording:
        paid_s = derive(recording).metrics.paid_device_s.low
    tokens = sum(p + o for batch in synthetic.BATCHES for p, o in batch)
    assert seen.device_s_per_1m == pytest.approx(paid_s / tokens * 1e6)
    assert (seen.usd_per_device_h, seen.price_as_of) == (2.0, "2026-03-01")
    assert len(seen.units) == len(synthetic.BATCHES)
    for unit in seen.units.values():
        assert unit.prefill_s + unit.decode_s == pytest.approx(unit.device_s)


def test_counters_are_counted(run):
    batches = synthetic.BATCHES
    requests = sum(map(len, batches))
    rows = sum(len(b) * (max(p for p, _ in b) + max(o for _, o in b) - 1) for b in batches)
    found = observe(run, today=TODAY).counters
    assert found["computed_tokens"] == rows / requests
    assert found["prompt_tokens"] == sum(p for b in batches for p, _ in b) / requests
    assert found["output_tokens"] == sum(o for b in batches for _, o in b) / requests
    assert found["recomputed_tokens"] == synthetic.PREFIX_TOKENS * (requests - 1) / requests
    assert found["kv_bytes_per_token"] == 16384
    assert found["engine_steps"] == sum(max(o for _, o in b) for b in batches) / requests
    assert "peak_allocated_bytes" not in found
    assert "kernel_launches" not in found


def test_a_gpu_tells_of_its_memory_driver_and_clock(tmp_path):
    run = synthetic.write_run(tmp_path / "gpu.costaudit", device="cuda")
    with Recording.resume(run) as recording:
        recording.add(Fact(subject="gpu", name="driver", value="570.86"))
        for hz in (1.7e9, 1.8e9, 1.9e9):
            recording.add(
                Gauge(t_s=1.0, meter="nvml.clocks", name="sm_clock", value=hz, unit="Hz"),
                Gauge(t_s=1.0, meter="torch.memory", name="allocated_peak", value=hz, unit="B"),
            )
    seen = observe(run, today=TODAY)
    assert seen.environment["driver"] == "570.86"
    assert seen.sm_clock_hz == 1.8e9
    assert seen.counters["peak_allocated_bytes"] == 1.9e9


def test_the_spread_within_a_run_is_that_of_its_rounds(run):
    seen = observe(run, today=TODAY)
    mean, spread = 1.02, 0.02  # the rounds take 1.00, 1.02 and 1.04 of the truth
    assert seen.within_share == pytest.approx(spread / mean / 3**0.5, rel=1e-6)
    assert seen.contention_share == 0.0


def test_the_pace_of_a_batch_is_that_of_its_least_disturbed_round(run):
    paces = {"replay-0#0": [0.010, 0.019], "replay-0#1": [0.012, 0.011], "replay-1#0": [0.02, 0.02]}
    with Recording.resume(run) as recording:
        for task, looks in paces.items():
            recording.add(Fact(subject="replay", name=f"pace_s/{task}", value=looks, unit="s"))
    seen = {key.partition("/")[0]: unit.pace_s for key, unit in observe(run).units.items()}
    assert seen == dict.fromkeys(seen) | {"replay-0": 0.012, "replay-1": 0.02}


def test_the_same_run_is_the_same_environment(run, tmp_path):
    again = synthetic.write_run(tmp_path / "again.costaudit")
    assert observe(run).environment == observe(again).environment
    assert set(observe(run).units) == set(observe(again).units)

"""A changed server: in turns with the unchanged one, or against the recording alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "contrast"))
from made_up_sides import ENVIRONMENT, observed

from costaudit.plan.prediction import COST
from costaudit.record.probing import profile
from costaudit.record.probing.options import ServerOptions
from costaudit.verify import served
from costaudit.verify.verify import steps_of

OLD = ServerOptions(url="http://old", path=Path("x"))
QUICK = (0.0, 0.004, -0.003, 0.001)


@pytest.fixture
def measured(monkeypatch):
    """Measures servers that take `factor` of the recording's time."""

    def measure(step, *, factor, baseline=None, **environment):
        asked = []
        unlike = {"environment": ENVIRONMENT | environment}

        def pairs(base, new, *, pairs, folder, progress):
            asked.extend([base, new])
            return [(observed(1 + q), observed(factor * (1 + q / 2), **unlike)) for q in QUICK]

        def record(options, *, progress):
            asked.append(options)
            return options.path

        seen = iter([observed(), *[observed(factor, **unlike)] * 9])
        monkeypatch.setattr(served, "observe", lambda path: next(seen))
        monkeypatch.setattr(served, "recorded_pairs", pairs)
        monkeypatch.setattr(profile, "record_server", record)
        monkeypatch.setattr(served, "_probing", lambda run, before: OLD)
        monkeypatch.setattr(served, "_metrics", lambda folder: None)
        found = served.measure_server(
            Path("run.costaudit"),
            steps_of([step]),
            target="http://new",
            baseline=baseline,
            rounds=4,
            seconds=400.0,
            progress=lambda _: None,
        )
        return found, asked

    return measure


def test_both_servers_take_turns(measured):
    found, (base, new) = measured("max-num-seqs", factor=0.5, baseline="http://old2")
    assert (base.url, new.url, new.time_budget_s) == ("http://old2", "http://new", 50.0)
    assert found.changes[COST].share == pytest.approx(-0.5, abs=0.01)
    assert found.changes[COST].freedom == 3
    assert not found.refused


def test_the_changed_server_alone_is_held_against_the_recording(measured):
    found, asked = measured("max-num-seqs", factor=0.5)
    assert [options.url for options in asked] == ["http://new"] * served.MOST_ALONE
    assert found.changes[COST].share == pytest.approx(-0.5, abs=0.01)
    assert "assumed" in found.changes[COST].origin


def test_a_step_may_change_what_it_is_there_to_change(measured):
    changed = {"baseline": "http://old", "model": "def"}
    assert not measured("weight-quantization", factor=0.5, **changed)[0].refused
    assert "another model" in measured("max-num-seqs", factor=0.5, **changed)[0].refused
    moved = measured("weight-quantization", factor=0.5, baseline="http://old", device="A100")
    assert "another device" in moved[0].refused

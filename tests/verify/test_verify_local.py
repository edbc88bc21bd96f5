"""A whole trial: predicted from a recording whose truth is known, measured by engines that obey."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "audit"))
from synthetic_run import BATCHES, TRUTH, write_run

from costaudit.audit.build import AuditOptions, build_audit
from costaudit.audit.situation import read_situation
from costaudit.cli.main import run as command
from costaudit.ground.errors import UsageError
from costaudit.playbook.load import load
from costaudit.playbook.step import Edge
from costaudit.record.options import EngineSettings, check_settings
from costaudit.record.paired import Paired, Side
from costaudit.record.paired_round import PairedRound
from costaudit.recording.recording import Recording
from costaudit.recording.verified import store_of
from costaudit.report.render import Format, render
from costaudit.verify import local
from costaudit.verify.verify import VerifyOptions, verify
from costaudit.whatif.simulate import simulate

STEPS = {entry.step.id: entry.step for entry in load()}


@pytest.fixture
def recorded(tmp_path):
    path = write_run(tmp_path / "run.costaudit")
    with Recording.resume(path) as recording:
        recording.set_meta(options={"target": "demo"})
    return path


def truly(path, step):
    """After over before on the machine that the recording is of."""
    scenario = read_situation(path, AuditOptions()).situation.scenario
    scenario = replace(scenario, step_time=TRUTH)
    changed = STEPS[step].change(scenario, Edge.LOW)
    return simulate(changed).window_s / simulate(scenario).window_s


def obeying(monkeypatch, ratio, *, noise=0.004):
    """Turns of two sides of which one really takes `ratio` of the other's time."""
    rng, asked = random.Random(1), []

    def record_paired(options, *, progress):
        asked.append(options)
        seconds = [
            {"base": {"stream": rng.gauss(1, noise)}, "new": {"stream": rng.gauss(ratio, noise)}}
            for _ in range(options.rounds)
        ]
        side = Side(target=None, device="cpu", kv_bytes_per_token=1.0)
        rounds = tuple(PairedRound(seconds=s) for s in seconds)
        return Paired(base=side, new=side, rounds=rounds, requests=8, tokens=9, wall_s=1.0)

    monkeypatch.setattr(local, "record_paired", record_paired)
    return asked


def tried(path, *steps, **changes):
    options = VerifyOptions(run=path, steps=steps, target="demo", **changes)
    return verify(options, progress=lambda _: None)


def test_the_truth_is_inside_and_a_lie_outside(recorded, monkeypatch):
    ratio = truly(recorded, "continuous-batching")
    assert ratio < 0.8
    asked = obeying(monkeypatch, ratio)
    cost, *latencies = tried(recorded, "continuous-batching").figures
    assert (cost.verdict, cost.why) == ("inside", "")
    assert cost.measured.mid == pytest.approx(ratio, rel=0.02)
    assert {f.verdict for f in latencies} == {"cannot-tell"}  # streams have no stamps
    assert asked[0].batches == BATCHES
    assert asked[0].new_settings.batching == "continuous"
    obeying(monkeypatch, 1.05)
    assert tried(recorded, "continuous-batching").figures[0].verdict == "outside"


def test_all_trials_stand_in_every_form_of_the_report(recorded, monkeypatch):
    obeying(monkeypatch, truly(recorded, "continuous-batching"))
    tried(recorded, "continuous-batching")
    obeying(monkeypatch, 1.3)
    tried(recorded, "static-kv-cache")
    document = build_audit(recorded, options=AuditOptions())
    section = document["verified"]
    assert (section["tried"], section["inside"], section["decided"]) == (2, 1, 2)
    for form in (Format.CONSOLE, Format.HTML, Format.MARKDOWN):
        text = render(document, form)
        assert "Predictions that were tried" in text
        assert "static-kv-cache" in text
    assert json.loads(render(document, Format.JSON))["verified"] == section


def test_the_command_leaves_with_what_it_found(recorded, monkeypatch, capsys):
    obeying(monkeypatch, truly(recorded, "continuous-batching"))
    line = ["verify", str(recorded), "--step", "continuous-batching", "--target", "demo"]
    assert command([*line, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["figures"][0]["verdict"] == "inside"
    obeying(monkeypatch, truly(recorded, "continuous-batching"), noise=0.3)
    assert command(line) == 3
    assert "cannot tell" in capsys.readouterr().out
    assert store_of(recorded).read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("steps", "changes", "says"),
    [
        (("prefix-caching",), {}, "does not make the change"),
        (("continuous-batching",), {"baseline": "http://a"}, "model in this process"),
        (("nothing",), {}, "no step"),
    ],
)
def test_what_cannot_be_tried(recorded, steps, changes, says):
    with pytest.raises(UsageError, match=says):
        tried(recorded, *steps, **changes)
    assert not store_of(recorded).exists()


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_every_change_that_is_made_here_can_be_set(kind):
    for settings in local.changes_on(kind).values():
        check_settings(EngineSettings(**settings))
    assert ("w8a8" in local.changes_on(kind)) is (kind == "cuda")

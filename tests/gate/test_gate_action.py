"""action.yml and the snippets of docs/ci.md: run, parsed, held to the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from sides import TESTS, loaded

from costaudit.contrast.counters import COUNTERS
from costaudit.contrast.sides import TIMINGS
from costaudit.gate.budget import read_budget
from costaudit.recording.recording import Recording

yaml = pytest.importorskip("yaml")
synthetic = loaded(TESTS / "audit" / "synthetic_run.py")
ACTION = TESTS.parent / "action.yml"
DOCS = TESTS.parent / "docs" / "ci.md"
# Stands for the recorder: hands out prepared recordings one after the other, else the real thing.
PROGRAM = """#!/bin/sh
if [ "$1" = profile ]; then
  shift; while [ "$1" != -o ]; do shift; done
  next=$(ls queue | head -n 1); mv "queue/$next" "$2"; exit
fi
exec {python} -m costaudit "$@"
"""


@pytest.fixture
def job(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "queue").mkdir()
    program = tmp_path / "bin" / "costaudit"
    program.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "budget.toml").write_text(
        '[[budget]]\nmetric = "usd_per_1m_tokens"\nmargin = 0.2\n', encoding="utf-8"
    )
    recorded(tmp_path / "base.costaudit", 1.0)
    return tmp_path


def recorded(path, slower):
    synthetic.write_run(path)
    recording = Recording.resume(path)
    recording._db.execute("UPDATE sample SET seconds = seconds * ?", (slower,))
    recording._db.execute("UPDATE sample SET wall_s = seconds")
    recording.close()
    for name in path.parent.glob(f"{path.name}-*"):
        name.unlink()


def run(job, **inputs):
    """The action's main step with its inputs, as a runner would start it."""
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    (step,) = [s for s in action["runs"]["steps"] if s.get("id") == "gate"]
    given = {n: str(spec.get("default", "")) for n, spec in action["inputs"].items()} | inputs
    environment = {
        name: given[re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)[1]]
        for name, text in step["env"].items()
    }
    files = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary", "RUNNER_TEMP": ""}
    paths = {name: str(job / file) for name, file in files.items()}
    said = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=job,
        env=os.environ | environment | paths | {"PATH": f"{job / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = dict(row.split("=") for row in (job / "output").read_text().splitlines())
    return said, outputs


@pytest.mark.slow
@pytest.mark.parametrize(("factors", "code"), [((1.0,), 0), ((1.5, 1.0), 0), ((1.5, 1.5), 1)])
def test_the_action_fails_on_a_second_alarm_only(job, factors, code):
    for number, factor in enumerate(factors):
        recorded(job / "queue" / f"{number}.costaudit", factor)
    said, outputs = run(
        job, target="model", budget="budget.toml", baseline="base.costaudit", junit="gate.xml"
    )
    assert said.returncode == code, said.stdout + said.stderr
    assert outputs == {"exit-code": str(code)}
    assert not list((job / "queue").iterdir())
    assert said.stdout.count("::error ") == code
    assert ("recorded once more" in said.stdout) == (len(factors) > 1)
    summary = (job / "summary").read_text(encoding="utf-8")
    assert summary.count("Cost gate") == 1
    assert (job / "costaudit-gate.md").read_text(encoding="utf-8").startswith("<!-- costaudit gate")
    assert (job / "gate.xml").is_file()


@pytest.mark.slow
def test_the_action_judges_a_recording_that_is_there(job):
    shutil.copy(job / "base.costaudit", job / "run.costaudit")
    said, outputs = run(job, budget="budget.toml", baseline="base.costaudit")
    assert (said.returncode, outputs["exit-code"]) == (0, "0")
    said, outputs = run(job, budget="none.toml")
    assert said.returncode == 2


def test_every_input_is_described_and_used():
    action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    text = ACTION.read_text(encoding="utf-8")
    for name, spec in action["inputs"].items():
        assert spec["description"]
        assert f"inputs.{name}" in text
    scripts = "\n".join(step["run"] for step in action["runs"]["steps"])
    assert "${{" not in scripts, "an input in a script could run as one"


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_the_documented_budget_is_one(tmp_path):
    (text,) = blocks("toml")
    path = tmp_path / "budget.toml"
    path.write_text(text, encoding="utf-8")
    budget = read_budget(path)
    assert len(budget.limits) + len(budget.margins) == text.count("[[budget]]")
    for margin in budget.margins:
        assert margin.metric in {*TIMINGS, *COUNTERS}


def test_the_documented_snippets_name_flags_and_inputs_that_exist():
    github, gitlab = map(yaml.safe_load, blocks("yaml"))
    inputs = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["inputs"]
    assert set(github["jobs"]["cost"]["steps"][1]["with"]) <= set(inputs)
    said = subprocess.run(
        [sys.executable, "-m", "costaudit", "gate", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    told = "\n".join(gitlab["cost"]["script"]) + "\n".join(blocks("groovy") + blocks("sh"))
    gate_lines = [line for line in told.splitlines() if "profile" not in line]
    flags = set(re.findall(r"(?<=\s)--[\w-]+", "\n".join(gate_lines)))
    assert flags
    assert all(flag in said for flag in flags), flags


def test_the_documented_counters_are_those_that_are_counted():
    text = DOCS.read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| `margin`, counters")]
    named = set(re.findall(r"`(\w+)`", row)) - {"margin"}
    assert named == set(COUNTERS) - {"kernel_launches"}  # no meter records those yet

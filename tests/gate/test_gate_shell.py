"""The gate as a CI system calls it: a command line, an exit code, files."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from sides import TESTS, loaded

from costaudit.contrast.stored import read_baseline
from costaudit.recording.recording import Recording

pytestmark = pytest.mark.slow  # all of it together

synthetic = loaded(TESTS / "audit" / "synthetic_run.py")
COUNTERS = """
[[budget]]
metric = "computed_tokens"
margin = 0
[[budget]]
metric = "kv_bytes_per_token"
margin = 0
"""
TIMES = '[[budget]]\nmetric = "usd_per_1m_tokens"\nmargin = {}\n'


def costaudit(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "costaudit", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "100"} | environment,
    )


@pytest.fixture
def folder(tmp_path):
    """A run, one like it, one that is half slower, and one of another cache layout."""
    for name, slower in (("run", 1.0), ("like", 1.0), ("slow", 1.5)):
        path = synthetic.write_run(tmp_path / f"{name}.costaudit")
        spoil(path, "UPDATE sample SET seconds = seconds * ?, wall_s = seconds * ?", slower, slower)
        spoil(path, "UPDATE sample SET wall_s = seconds")
    wide = synthetic.write_run(tmp_path / "wide.costaudit")
    spoil(wide, "UPDATE fact SET value = '32768' WHERE subject = 'kv' AND value = '16384'")
    return tmp_path


def spoil(path, sql, *values):
    recording = Recording.resume(path)
    recording._db.execute(sql, values)
    recording.close()


def written(folder, text):
    (folder / "budget.toml").write_text(text, encoding="utf-8")
    return "budget.toml"


@pytest.mark.parametrize(
    ("run", "budget", "code"),
    [
        ("like", COUNTERS, 0),
        ("wide", COUNTERS, 1),
        ("like", TIMES.format(0.2), 0),
        ("slow", TIMES.format(0.2), 1),
        ("like", TIMES.format(0.01), 3),
        ("like", "[[budget]]\nmetric = 3", 2),
        ("none", COUNTERS, 2),
    ],
)
def test_exit_codes(folder, run, budget, code):
    said = costaudit(
        *("gate", f"{run}.costaudit", "--budget", written(folder, budget)),
        *("--baseline", "run.costaudit"),
        cwd=folder,
    )
    assert said.returncode == code, said.stdout + said.stderr
    if code != 2:
        result = {0: "passed", 1: "broken", 3: "inconclusive"}[code]
        assert f"gate: {result}" in said.stdout
    else:
        assert said.stderr.startswith("costaudit: ")
        assert "Traceback" not in said.stderr


def test_inconclusive_may_only_warn(folder):
    line = ("gate", "like.costaudit", "--budget", written(folder, TIMES.format(0.01)))
    said = costaudit(*line, "--baseline", "run.costaudit", "--inconclusive", "warn", cwd=folder)
    assert said.returncode == 0
    assert "gate: inconclusive" in said.stdout


def test_a_baseline_is_written_on_purpose_and_held(folder):
    runs = ("run.costaudit", "like.costaudit")
    update = ("gate", *runs, "--baseline", "base.json", "--update-baseline")
    assert costaudit(*update, cwd=folder).returncode == 0
    assert len(read_baseline(folder / "base.json")) == 2
    before = (folder / "base.json").read_bytes()
    judge = ("gate", "wide.costaudit", "--budget", written(folder, COUNTERS))
    assert costaudit(*judge, "--baseline", "base.json", cwd=folder).returncode == 1
    assert (folder / "base.json").read_bytes() == before
    assert costaudit(*update[:-2], "run.costaudit", update[-1], cwd=folder).returncode == 2
    with Recording.read(folder / "run.costaudit") as recording:
        assert recording.samples()


def test_everything_goes_where_it_is_asked_to(folder):
    forms = ("json", "junit", "markdown", "sarif", "gitlab-metrics", "gitlab-codequality")
    to = [part for form in forms for part in ("--to", f"{form}={form}.out")]
    budget = written(folder, COUNTERS + TIMES.format(0.2))
    said = costaudit(
        *("gate", "wide.costaudit", "--budget", budget, "--baseline", "run.costaudit"),
        *(*to, "--github"),
        cwd=folder,
        GITHUB_STEP_SUMMARY=str(folder / "summary.md"),
    )
    assert said.returncode == 1
    assert "::error file=budget.toml,line=5," in said.stdout
    assert (folder / "summary.md").read_text(encoding="utf-8").startswith("<!-- costaudit gate")
    for form in forms:
        assert (folder / f"{form}.out").stat().st_size > 20
    plain = json.loads((folder / "json.out").read_text(encoding="utf-8"))
    assert (plain["result"], plain["exit_code"]) == ("broken", 1)
    assert plain["split"]["efficiency"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("gate",), "needs a --budget"),
        (("gate", "--budget", "b.toml"), "name a recording"),
        (("gate", "run.costaudit", "--budget", "b.toml"), "need a --baseline"),
        (("gate", "x", "--budget", "b.toml", "--to", "pdf=x"), "is no FORM=FILE"),
        (("gate", "x", "--budget", "b.toml", "--inconclusive", "pass"), "fail or warn"),
        (("gate", "--update-baseline"), "takes recordings"),
        (("gate", "--ab", "http://a", "demo", "--budget", "b.toml"), "cannot take turns"),
        (("gate", "--ab", "a", "b", "--rounds", "2", "--budget", "b.toml"), "rounds = 2"),
    ],
)
def test_a_wrong_line_is_told_in_a_sentence(folder, line, message):
    (folder / "b.toml").write_text(TIMES.format(0.1), encoding="utf-8")
    said = costaudit(*line, cwd=folder)
    assert said.returncode == 2, said.stdout + said.stderr
    assert message in said.stderr
    assert len(said.stderr.splitlines()) <= 2

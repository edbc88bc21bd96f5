"""Runs are killed at random instants in a process of their own, then gone on with."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter

import pytest
from fake_engine import FakeEngine

from costaudit.ground.errors import InterruptedRunError, UsageError
from costaudit.record.options import ProfileOptions
from costaudit.record.profile import record_profile, resume_profile
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(autouse=True)
def no_torch(monkeypatch):
    """A forked child must not compute with torch; the peaks are written down as they might be."""
    monkeypatch.setattr(
        "costaudit.record.tasks.measure_peaks",
        lambda *_, **__: (Fact(subject="device", name="peak_flops", value=1e9),),
    )


def run(path, beat):
    """Record, or go on; `beat` is told of every task that begins."""
    engine = FakeEngine(real_s=0.0005)
    given = {"progress": beat, "opener": lambda *_: engine}
    if path.exists():
        return resume_profile(path, **given)
    options = ProfileOptions(target="fake", path=path, rounds=3, replay_rounds=2)
    return record_profile(options, **given)


def child(path, pipe):
    """Forked: write a byte into `pipe` for every task, leave with 0, 2 or 130."""
    code = 1
    try:
        run(path, lambda _: os.write(pipe, b"."))
        code = 0
    except InterruptedRunError:
        code = 130
    except UsageError:
        code = 2
    finally:
        os._exit(code)


def started(path, *, wait_s, sign):
    """Run in a child, signal it after `wait_s`; (exit status, tasks that had begun)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        child(path, writing)
    os.close(writing)
    time.sleep(wait_s)
    os.kill(pid, sign)
    _, status = os.waitpid(pid, 0)
    begun = b""
    while chunk := os.read(reading, 4096):
        begun += chunk
    os.close(reading)
    return status, len(begun)


def done(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT count(*) FROM task WHERE done").fetchone()[0]
    finally:
        db.close()


@pytest.mark.slow
def test_kill_at_any_instant_loses_at_most_the_sample_in_flight(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    path = tmp_path / "r.costaudit"
    rng = random.Random(4)
    kills = 0
    for _ in range(12):
        before = done(path) if path.exists() else 0
        status, begun = started(path, wait_s=rng.uniform(0.15, 0.6), sign=signal.SIGKILL)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        kills += 1
        if not path.exists():
            continue
        # "loading" and "warming up" are told too; the last task told was in flight
        assert done(path) >= before + max(0, begun - 2) - 1
        db = sqlite3.connect(path)
        frame = pandas.read_sql("SELECT * FROM sample", db)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
        assert not frame.duplicated(["task", "role", "phase", "round"]).any()
    assert kills >= 2
    if path.exists():
        run(path, lambda _: None)
    with Recording.read(path) as recording:
        assert all(task.done for task in recording.tasks())
        kinds = Counter(task.kind for task in recording.tasks())
        rows = Counter((s.task, s.role, s.phase, s.round) for s in recording.samples())
        assert set(rows.values()) == {1}
        assert len({s.task for s in recording.samples()}) * 9 >= kinds["step"]
        assert len(recording.requests()) == recording.facts()["workload"]["requests"].value
        clocks = [s.t_s for s in recording.samples()]
        assert clocks == sorted(clocks)


def test_a_killed_and_a_whole_run_take_the_same_samples(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(whole, lambda _: None)
    started(broken, wait_s=0.4, sign=signal.SIGKILL)
    run(broken, lambda _: None)
    taken = []
    for path in (whole, broken):
        with Recording.read(path) as recording:
            taken.append({(s.task, s.round, s.phase) for s in recording.samples()})
    assert taken[0] == taken[1]


def test_ctrl_c_leaves_a_file_that_needs_no_journal(tmp_path):
    path = tmp_path / "r.costaudit"
    status, _ = started(path, wait_s=0.5, sign=signal.SIGINT)
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) in (130, 0)
    assert [p.name for p in tmp_path.iterdir()] in ([], ["r.costaudit"])

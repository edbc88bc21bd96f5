"""Audits that cannot begin, break off, or are gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_engine import TARGET, FakeEngine
from profile_runs import options, record

from costaudit.ground.errors import (
    InterruptedRunError,
    NothingRecordedError,
    TargetError,
    UsageError,
)
from costaudit.record.profile import record_profile, resume_profile
from costaudit.recording.recording import Recording

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_peaks")]  # slow: all of it together

pytest.importorskip("torch", reason="torch is not installed: the peaks cannot be measured")


def test_a_read_only_place_is_refused_before_the_engine_is_opened():
    opened = []
    with pytest.raises(UsageError, match="cannot write"):
        record_profile(
            options(Path("/proc/x.costaudit")),
            progress=lambda _: None,
            opener=lambda *_: opened.append(1),
        )
    assert not opened


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"probe": "caht"}, "no probe called"),
        ({"batch_size": 0}, "batch_size"),
        ({"scale": 2.0}, "scale"),
        ({"rounds": 0}, "rounds"),
    ],
)
def test_wrong_options_leave_no_file(tmp_path, others, words):
    with pytest.raises(UsageError, match=words):
        record(tmp_path / "r", **others)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_does_not_open_leaves_no_file(tmp_path):
    def refuse(*_):
        raise TargetError("no model there")

    with pytest.raises(TargetError, match="no model there"):
        record_profile(options(tmp_path / "r"), progress=lambda _: None, opener=refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_fails_before_the_first_sample_recorded_nothing(tmp_path):
    with pytest.raises(NothingRecordedError, match="kernel died"):
        record(tmp_path / "r", FakeEngine(fail_at=3))
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_fails_later_keeps_its_samples_and_can_be_gone_on_with(tmp_path):
    path = tmp_path / "r"
    engine = FakeEngine(fail_at=150)
    with pytest.raises(TargetError, match="kernel died") as caught:
        record(path, engine)
    assert f"--resume {path}" in caught.value.hint
    assert engine.closed
    with Recording.read(path) as recording:
        kept = len(recording.samples())
        assert kept > 0
        assert "kernel died" in recording.troubles()[0][2]
    resume_profile(path, progress=lambda _: None, opener=lambda *_: FakeEngine())
    with Recording.read(path) as recording:
        assert all(t.done for t in recording.tasks())
        assert len(recording.samples()) > kept


def test_ctrl_c_keeps_the_samples_and_names_the_command(tmp_path):
    path = tmp_path / "r"
    with pytest.raises(InterruptedRunError) as caught:
        record(path, FakeEngine(fail_at=150, failure=KeyboardInterrupt()))
    assert f"costaudit profile --resume {path}" in caught.value.hint
    with Recording.read(path) as recording:
        assert recording.samples()
    early = tmp_path / "early"
    with pytest.raises(InterruptedRunError):
        record(early, FakeEngine(fail_at=1, failure=KeyboardInterrupt()))
    assert not early.exists()


def test_a_resumed_run_must_be_of_the_same_target(tmp_path):
    from dataclasses import replace

    path = tmp_path / "r"
    with pytest.raises(TargetError):
        record(path, FakeEngine(fail_at=150))
    other = FakeEngine(target=replace(TARGET, dtype="bfloat16"))
    with pytest.raises(UsageError, match="another model or dtype"):
        resume_profile(path, progress=lambda _: None, opener=lambda *_: other)
    assert path.exists()


def test_resuming_what_is_finished_opens_nothing(tmp_path):
    path = record(tmp_path / "r")
    before = path.read_bytes()
    resume_profile(path, progress=lambda _: None, opener=lambda *_: 1 / 0)
    assert len(path.read_bytes()) == len(before)


def test_a_recording_of_something_else_is_not_resumed(tmp_path):
    Recording.create(tmp_path / "r").close()
    with pytest.raises(UsageError, match="no plan"):
        resume_profile(tmp_path / "r", progress=lambda _: None)

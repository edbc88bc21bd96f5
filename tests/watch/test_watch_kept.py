"""What is kept of a watch is what was read, and is not taken for an audit."""

from __future__ import annotations

import pytest
from watched import SUBJECT, page

from costaudit.cli.main import run
from costaudit.ground.errors import UsageError
from costaudit.measure.window import window_of
from costaudit.record.passive import kept
from costaudit.record.passive.kept import keeping, read_kept
from costaudit.recording.recording import Recording


@pytest.fixture
def pages():
    return [page(float(t), tokens=500.0 * max(0, t - 2), waiting=t % 3) for t in range(10)]


@pytest.fixture
def path(tmp_path, pages, monkeypatch):
    now = iter(pages)
    monkeypatch.setattr(Recording, "clock_s", lambda _: next(now).t_s)
    path = tmp_path / "night.costaudit"
    with keeping(path, SUBJECT) as keep:
        for one in pages:
            keep(one)
    return path


def test_the_pages_come_back_as_they_were(path, pages):
    subject, found = read_kept(path, seconds=None)
    assert (subject.engine, subject.version, subject.model) == ("vllm", "0.32.0", "tiny")
    assert list(found) == pages
    assert window_of(found, engine="vllm") == window_of(pages, engine="vllm")


def test_its_last_seconds_and_a_long_one(path, pages, monkeypatch):
    assert list(read_kept(path, seconds=3)[1]) == pages[-4:]
    monkeypatch.setattr(kept, "MOST_PAGES", 4)
    found = read_kept(path, seconds=None)[1]
    assert found[0] == pages[0]
    assert found[-1] == pages[-1]
    assert len(found) <= 5
    with pytest.raises(UsageError, match="fewer than two"):
        read_kept(path, seconds=0)


def test_it_is_no_audit_and_is_not_written_over(path, capsys):
    assert run(["report", str(path)]) == 2
    assert "costaudit diagnose --from" in capsys.readouterr().err
    with pytest.raises(UsageError), keeping(path, SUBJECT):
        pass
    assert run(["diagnose", "--from", str(path)]) == 0
    assert "vllm" in capsys.readouterr().out

"""What the commands print and write, on a synthetic audit."""

from __future__ import annotations

import inspect
import json
from functools import cache
from pathlib import Path

import pytest

from costaudit.cli import audit, catalogue, doctor, gate, main, profile, progress, recording, report
from costaudit.cli.options import bytes_of
from costaudit.ground.errors import UsageError
from costaudit.record.options import Progress
from costaudit.whatif.scheduler import compiled

SAMPLE = Path(__file__).parents[1] / "report" / "sample_audit.json"


@pytest.fixture
def prices(monkeypatch):
    """The audit of any recording is the sample; what was asked for is kept."""
    asked = []

    def fake(run, *, price, reserved_price, prices=None, ahead=None):
        asked.append((run, price, reserved_price))
        return json.loads(SAMPLE.read_text(encoding="utf-8"))

    monkeypatch.setattr(audit, "audit", fake)
    return asked


def test_report_in_every_form(prices, capsys, tmp_path):
    assert main.run(["report", "x.costaudit"]) == 0
    assert "Do this first" in capsys.readouterr().out
    assert main.run(["report", "x.costaudit", "--format", "json", "--price", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "costaudit.audit/1"
    page = tmp_path / "page.html"
    assert main.run(["report", "x.costaudit", "--format", "html", "-o", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out == ""
    assert prices[1] == (Path("x.costaudit"), 3.0, None)


@pytest.mark.parametrize(
    ("line", "code"), [("max = 0.7", 0), ("max = 0.66", 3), ("max = 0.1", 1), ("min = 0.7", 1)]
)
def test_gate_exit_codes(prices, capsys, tmp_path, line, code):
    budget = tmp_path / "budget.toml"
    budget.write_text(f'[[budget]]\nmetric = "usd_per_1m_tokens"\n{line}\n', encoding="utf-8")
    assert main.run(["gate", "x", "--budget", str(budget)]) == code
    told = capsys.readouterr().out
    assert main.run(["gate", "x", "--budget", str(budget), "--json"]) == code
    result = json.loads(capsys.readouterr().out)["result"]
    assert f"gate: {result}" in told
    assert result == {0: "passed", 1: "broken", 3: "inconclusive"}[code]


def test_profile_records_audits_and_writes(prices, capsys, tmp_path, monkeypatch):
    from costaudit.record import profile as room

    seen = []

    def record(options, *, progress, command):
        progress(Progress(fraction=0.5, label="half", seconds_left=3.0))
        seen.append((options, command))
        return options.path

    monkeypatch.setattr(room, "record_profile", record)
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "demo.html"
    flags = ["--kv-budget", "1GiB", "--price", "2", "--html", str(page), "--json"]
    assert main.run(["profile", "demo", *flags]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["schema"] == "costaudit.audit/1"
    assert "recording: demo.costaudit" in err
    assert page.is_file()
    ((options, command),) = seen
    told = (options.target, options.path, options.probe, options.kv_budget_bytes)
    assert told == ("demo", Path("demo.costaudit"), "chat", 2**30)
    assert command.startswith("costaudit profile demo --kv-budget 1GiB")
    assert prices == [(Path("demo.costaudit"), 2.0, None)]


def test_profile_goes_on_with_a_recording(prices, tmp_path, monkeypatch):
    from costaudit.record import profile as room
    from costaudit.record.probing import profile as servers
    from costaudit.recording.recording import Recording

    seen = []
    monkeypatch.setattr(room, "resume_profile", lambda p, *, progress: seen.append("model") or p)
    monkeypatch.setattr(servers, "resume_server", lambda p, *, progress: seen.append("server") or p)
    for kind in ("profile", "server"):
        path = tmp_path / f"{kind}.costaudit"
        with Recording.create(path) as recording:
            recording.set_meta(kind=kind)
        assert main.run(["profile", "--resume", str(path)]) == 0
    assert seen == ["model", "server"]


def test_force_replaces_a_recording_and_nothing_else(prices, tmp_path, monkeypatch):
    from costaudit.record import profile as room
    from costaudit.recording.recording import Recording

    monkeypatch.setattr(room, "record_profile", lambda o, **_: o.path)
    old = tmp_path / "demo.costaudit"
    Recording.create(old).close()
    assert main.run(["profile", "demo", "-o", str(old), "--force"]) == 0
    assert not old.exists()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("demo", "demo"),
        ("meta-llama/Llama-3.1-8B", "Llama-3.1-8B"),
        ("/models/my/", "my"),
        ("/", "run"),
        ("http://10.0.0.7:8000/v1", "10.0.0.7-8000"),
    ],
)
def test_a_recording_is_named_after_its_target(target, name):
    assert recording.default_path(target) == Path(f"{name}.costaudit")


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 * 2**30), ("500MB", 500 * 10**6), ("1.5k", 1500), ("77", 77), (None, None)],
)
def test_amounts_of_memory(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "-1", "4 GiBi", "1e9", "GiB"])
def test_no_amount_of_memory(text):
    with pytest.raises(UsageError):
        bytes_of(text)


def test_the_catalogues(capsys):
    assert main.run(["steps"]) == 0
    listed = capsys.readouterr().out
    assert main.run(["steps", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts) >= 6
    for step in facts:
        assert step["id"] in listed
        assert main.run(["steps", step["id"]]) == 0
        page = capsys.readouterr().out
        assert "Why it costs" in page
        assert all(engine in page for engine in step["snippets"])
    assert main.run(["probes", "--json"]) == 0
    names = {w["name"] for w in json.loads(capsys.readouterr().out)}
    assert {"chat", "rag", "batch-of-eight"} <= names
    assert main.run(["probes", "rag"]) == 0
    assert "15,000 tokens" in capsys.readouterr().out


def test_the_doctor_tells_what_would_help(capsys):
    assert main.run(["doctor"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert main.run(["doctor", "--json"]) == 0
    for check in json.loads(capsys.readouterr().out):
        assert check["what"] in told
        assert check["state"] == "ok" or check["would_help"]


def test_the_doctor_compiles_what_is_not_compiled_yet(capsys, monkeypatch):
    made = []
    monkeypatch.setattr(compiled, "kept", cache(lambda: bool(made)))
    monkeypatch.setattr(compiled, "compile_for", made.append)
    assert main.run(["doctor"]) == 0
    assert "costaudit doctor --compile" in " ".join(capsys.readouterr().out.split())
    for _ in range(2):
        assert main.run(["doctor", "--compile"]) == 0
    told = capsys.readouterr()
    assert len(made) == told.err.count("compiling") == 1
    assert told.out.count("simulator                    compiled") == 2
    monkeypatch.setattr(compiled, "kept", cache(lambda: False))
    assert main.run(["doctor", "--compile"]) == 0
    assert "cannot be kept" in capsys.readouterr().err
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert main.run(["doctor", "--compile"]) == 0
    assert "pip install numba" in capsys.readouterr().out


def test_lines_of_progress_come_at_most_every_ten_seconds(capsys):
    now = 0.0
    listen = progress._lines(lambda: now)
    for second in range(61):
        now = float(second)
        listen(Progress(fraction=second / 60, label="decode", seconds_left=60.0 - second))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[0] == " 17 %  decode  0:50 left"


def test_time_left_is_not_invented():
    assert progress.time_left(None) == ""
    assert progress.time_left(75.4) == "1:15 left"


def test_commands_decide_nothing_in_25_lines():
    for command in (
        *(report.report, gate.gate, catalogue.steps, catalogue.probes, doctor.doctor),
        profile.profile,
    ):
        source = inspect.getsource(command)
        body = source[source.index(") -> None:") :].count("\n") - 1
        assert body <= 25, command.__name__

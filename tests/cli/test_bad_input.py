"""Bad input ends in one clear sentence, a hint and the documented exit code, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from costaudit.cli import main
from costaudit.ground import errors


def costaudit(*arguments: str, cwd=None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "costaudit", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=60,
    )


GOOD_BUDGET = '[[budget]]\nmetric = "usd_per_1m_tokens"\nmax = 1\n'
CASES = {
    "unknown command": (["repot"], "No such command 'repot'", "report"),
    "unknown option": (["report", "x", "--formt", "md"], "No such option", "--format"),
    "missing argument": (["report"], "Missing argument", "--help"),
    "unknown format": (["report", "x", "--format", "htm"], "no report format 'htm'", "'html'"),
    "missing recording": (["report", "none.costaudit"], "no recording at none.costaudit", ""),
    "not a recording": (["report", "budget.toml"], "no costaudit recording", ""),
    "gate without budget": (["gate", "x"], "a gate needs a --budget", "docs/ci.md"),
    "missing budget": (["gate", "x", "--budget", "no.toml"], "cannot read no.toml", ""),
    "bad budget": (["gate", "x", "--budget", "bad.toml"], "neither max nor min", ""),
    "unknown step": (["steps", "paged-kv"], "no step called 'paged-kv'", "'paged-kv-cache'"),
    "unknown probe": (["probes", "chatt"], "no probe called 'chatt'", "'chat'"),
    "unknown probe to run": (["profile", "demo", "--probe", "ragg"], "'ragg'", "'rag'"),
    "unknown probe key": (["profile", "demo", "--probe", "own.toml"], "key 'sloo'", "'slo'"),
    "no target": (["profile"], "TARGET or a recording", "profile demo"),
    "target and resume": (["profile", "demo", "--resume", "x"], "either a TARGET", "demo"),
    "nothing to resume": (["profile", "--resume", "none.costaudit"], "no recording at", ""),
    "no price": (["report", "x", "--price", "0"], "0 is no price", "leave the price out"),
    "nan price": (["report", "x", "--price", "nan"], "nan is no price", "leave the price out"),
    "price in words": (["report", "x", "--price", "two"], "'two' is not a valid float", "--help"),
    "no memory": (["profile", "demo", "--kv-budget", "much"], "'much' is no amount", "4GiB"),
    "no place": (["report", "x", "-o", "no/such/a.html"], "no directory no/such", ""),
    "a folder": (["profile", "demo", "--html", "folder"], "is a directory", ""),
    "force on a stranger": (
        ["profile", "demo", "-o", "budget.toml", "--force"],
        "budget.toml is no costaudit recording",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_usage_errors(tmp_path, monkeypatch, capsys, case):
    arguments, sentence, hint = CASES[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "budget.toml").write_text(GOOD_BUDGET, encoding="utf-8")
    (tmp_path / "bad.toml").write_text('[[budget]]\nmetric = "x"\n', encoding="utf-8")
    (tmp_path / "own.toml").write_text("[sloo]\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    assert main.run(arguments) == 2
    out, said = capsys.readouterr()
    assert out == ""
    first, *rest = said.splitlines()
    assert first.startswith("costaudit: ")
    assert sentence in first
    assert all(line.startswith("hint: ") for line in rest)
    assert len(rest) <= 1
    assert hint in said
    assert (tmp_path / "budget.toml").read_text(encoding="utf-8") == GOOD_BUDGET


def test_no_arguments_show_the_help():
    done = costaudit()
    assert done.returncode == 0
    assert "profile" in done.stdout


def test_version():
    from costaudit import __version__

    assert costaudit("--version").stdout == f"costaudit {__version__}\n"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place nobody may write")
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    done = costaudit("profile", "demo", "--html", "/proc/page.html", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot write /proc/page.html" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    from costaudit.cli.output import write

    place = tmp_path / "a.html"
    write(place, "old")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(errors.UsageError, match="No space left"):
        write(place, "new")
    assert place.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


def raising(err: BaseException):
    def command(*_: object, **__: object) -> None:
        raise err

    return command


@pytest.mark.parametrize(
    ("err", "code", "says"),
    [
        (errors.UsageError("a", hint="b"), 2, "costaudit: a\nhint: b\n"),
        (errors.InconclusiveError("a"), 3, "costaudit: a\n"),
        (errors.TargetError("a"), 4, "costaudit: a\n"),
        (errors.NothingRecordedError("a"), 5, "costaudit: a\n"),
        (errors.InterruptedRunError("a"), 130, "costaudit: a\n"),
        (KeyboardInterrupt(), 130, "costaudit: interrupted\n"),
        (MemoryError(), 4, "costaudit: out of memory\n"),
        (ZeroDivisionError("x / 0"), 4, "fault of costaudit: ZeroDivisionError: x / 0\n"),
    ],
)
def test_every_error_has_its_exit_code(monkeypatch, capsys, err, code, says):
    monkeypatch.delenv("COSTAUDIT_DEBUG", raising=False)
    monkeypatch.setattr(main, "_called", raising(err))
    assert main.run([]) == code
    out, said = capsys.readouterr()
    assert out == ""
    assert says in said
    assert "Traceback" not in said


def test_the_traceback_is_there_for_who_asks(monkeypatch, capsys):
    monkeypatch.setenv("COSTAUDIT_DEBUG", "1")
    monkeypatch.setattr(main, "_called", raising(ZeroDivisionError("x / 0")))
    assert main.run([]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error():
    command = f"{sys.executable} -m costaudit probes --json"
    done = subprocess.run(
        ["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode in (0, 141)  # 0 where all was written before the reader left


def test_a_terminal_that_knows_ascii_only():
    done = costaudit("probes", "rag", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stderr == ""


def test_ctrl_c_in_a_real_process():
    program = (
        "import signal, time\nfrom costaudit.cli import main\n"
        # a shell starts background jobs with Ctrl-C ignored, and children inherit that
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "@main.app.command()\n"  # through typer, which has a way of its own with Ctrl-C
        "def wait():\n    print('ready', flush=True)\n    time.sleep(30)\n"
        "import sys\nsys.exit(main.run(['wait']))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "costaudit: interrupted\n"

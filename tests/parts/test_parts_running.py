"""A server is ready when it is handed over, and nothing of it is left afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from parts.running import ServerFailedError, free_port, running

TESTS = Path(__file__).resolve().parents[1]
# A server with a grandchild that leaves the process group, as engines' workers may.
SERVER = """
import http.server, subprocess, sys
stray = subprocess.Popen(["sleep", "1000"], start_new_session=True)
print("stray", stray.pid, flush=True)
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""
DYING_TEST = """
import sys, time
from parts.running import running
with running("stub", [sys.executable, "-c", sys.argv[1], sys.argv[2]], port=int(sys.argv[2]),
             ready_path="/") as server:
    print(server.pid, server.log, flush=True)
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTAUDIT_TEST_CACHE", str(tmp_path / "cache"))


def stub(port: int, code: str = SERVER, **options):
    command = [sys.executable, "-c", code, str(port)]
    return running("stub", command, port=port, ready_path="/", **options)


def stray(log: Path) -> int:
    lines = (line.split() for line in log.read_text().splitlines())
    return next(int(words[1]) for words in lines if words[:1] == ["stray"])


def wait_until_gone(*pids: int) -> None:
    give_up = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < give_up, "left running"
        time.sleep(0.05)


def test_it_is_ready_and_then_gone() -> None:
    with stub(free_port()) as server:
        pids = server.pid, stray(server.log)
        assert all(psutil.pid_exists(pid) for pid in pids)
        assert server.memory_bytes() > 1e6
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_failing_test_leaves_nothing() -> None:
    pids: list[int] = []

    def fail_beside_a_server() -> None:
        with stub(free_port()) as server:
            pids.extend((server.pid, stray(server.log)))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail_beside_a_server()
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_test_process_leaves_nothing(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DYING_TEST, SERVER, str(free_port())],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        pid, log = process.stdout.readline().split()
        process.send_signal(how)
    wait_until_gone(int(pid), stray(Path(log)))


def test_a_server_that_ends_shows_its_last_words() -> None:
    port = free_port()
    code = "import sys; sys.exit('no such model')"
    with (
        pytest.raises(ServerFailedError, match=r"ended with 1.*\n.*no such model"),
        stub(port, code),
    ):
        pass


def test_a_server_that_never_answers_is_given_up_and_killed() -> None:
    code = "import time; print('loading', flush=True); time.sleep(1000)"
    with (
        pytest.raises(ServerFailedError, match=r"not ready after 1 s.*\nloading"),
        stub(free_port(), code, timeout_s=1),
    ):
        pass
    me = psutil.Process()
    assert not [
        p for p in me.children(recursive=True) if "time.sleep(1000)" in " ".join(p.cmdline())
    ]


def test_a_server_learns_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTAUDIT_API_KEY", "sk-123")
    monkeypatch.setenv("HF_TOKEN", "hf-123")
    with stub(free_port(), environ={"OPENLY": "yes"}) as server:
        learned = psutil.Process(server.pid).environ()
    assert learned["OPENLY"] == "yes"
    assert learned["HF_HUB_OFFLINE"] == "1"
    assert not [value for value in learned.values() if "123" in value]
    assert learned["HOME"] != os.environ.get("HOME"), "nor finds one in the user's home"

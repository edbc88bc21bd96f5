"""A server that runs while somebody needs it, and not a moment longer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from parts.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

KEEPER = Path(__file__).with_name("keeper.py")
POLL_S = 0.1
TAIL_LINES = 30
KEPT_LOGS = 50
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy for 127.0.0.1


class ServerFailedError(Exception):
    """A server did not come up; the message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    kind: str
    base_url: str  # without a trailing slash and without /v1
    metrics_url: str | None  # None: this server exports no metrics
    model: str  # the name that requests give
    model_dir: Path | None  # its weights, configuration and tokenizer
    pid: int
    log: Path

    def memory_bytes(self) -> int:
        """Proportional memory of the server and all its processes."""
        return sum(process.memory_full_info().pss for process in self.processes())

    def cpu_seconds(self) -> float:
        """Processor time that the server and all its processes have taken so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes())

    def processes(self) -> list[psutil.Process]:
        """The server's process and everything below it."""
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]


@contextmanager
def running(
    kind: str,
    command: Sequence[str | Path],
    *,
    port: int,
    ready_path: str,
    model: str = "",
    model_dir: Path | None = None,
    metrics_url: str | None = None,
    timeout_s: float = 300,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start `command`, wait until `ready_path` answers 200, kill all of it at the end.

    Raises ServerFailedError where it ends early or takes longer than `timeout_s`.
    """
    base_url = f"http://127.0.0.1:{port}"
    log = server_log(f"{kind}-{port}")
    with log.open("w") as out:
        keeper = subprocess.Popen(
            [sys.executable, KEEPER, *command],
            env={**server_environ(), **(environ or {})},
            cwd=server_home(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            start_new_session=True,  # a Ctrl-C in the terminal is the caller's
        )
    assert keeper.stdin
    assert keeper.stdout
    try:
        pid = int(keeper.stdout.readline() or 0)
        wait_until_ready(keeper, base_url + ready_path, timeout_s, log)
        yield Server(
            kind=kind,
            base_url=base_url,
            metrics_url=metrics_url,
            model=model,
            model_dir=model_dir,
            pid=pid,
            log=log,
        )
    finally:
        keeper.stdin.close()
        keeper.wait(timeout=30)
        keeper.stdout.close()


def wait_until_ready(
    keeper: subprocess.Popen[bytes], url: str, timeout_s: float, log: Path
) -> None:
    """Return once `url` answers 200."""
    give_up = time.monotonic() + timeout_s
    while True:
        with suppress(OSError, urllib.error.URLError), DIRECT.open(url, timeout=5) as answer:
            if answer.status == 200:
                return
        ended = keeper.poll()
        if ended is not None or time.monotonic() > give_up:
            why = f"not ready after {timeout_s:.0f} s" if ended is None else f"ended with {ended}"
            tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            raise ServerFailedError("\n".join([f"{why}; the end of {log}:", *tail]))
        time.sleep(POLL_S)


def server_log(name: str) -> Path:
    """A file for a server's output; of those of earlier servers the newest are kept."""
    folder = cache_folder() / "logs/servers"
    folder.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):  # another process tidies up too
        for old in sorted(folder.iterdir(), key=os.path.getmtime)[:-KEPT_LOGS]:
            old.unlink()
    return folder / f"{name}.log"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_home() -> Path:
    """A home of the servers' own: no token, no model and no setting of the user's is found."""
    home = cache_folder() / "home"
    (home / "hub").mkdir(parents=True, exist_ok=True)
    return home


def server_environ() -> dict[str, str]:
    """All that a server may know: offline, one thread for each operator, nobody's secrets."""
    home = server_home()
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",  # two cores are shared with the client
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }

"""Runs a load tool and watches what it costs, from outside, alike for every tool."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SAMPLE_S = 0.25  # a look at 14 processes takes 5 ms
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")  # of our environment; no key, no token
QUIET = {"NO_COLOR": "1", "TERM": "dumb", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What it took to run a tool, its processes taken together.

    Attributes:
        cpu_s: user and system time, from the start to the end.
        peak_rss_bytes: the largest sum of resident memory that was seen; what processes share
            counts for each.
        processes: most at once.
        cpu_at: CPU seconds used up to a Unix time, in order.
    """

    exit_code: int | None  # None: it was ended, for it took too long
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    processes: int
    cpu_at: tuple[tuple[float, float], ...]

    def cpu_between(self, begin_s: float, end_s: float) -> float:
        """CPU seconds from one Unix time to another, interpolated between samples."""
        return self._cpu_until(end_s) - self._cpu_until(begin_s)

    def _cpu_until(self, when_s: float) -> float:
        later = bisect_left(self.cpu_at, (when_s, 0.0))
        if later == 0:
            return self.cpu_at[0][1]
        if later == len(self.cpu_at):
            return self.cpu_at[-1][1]
        (t0, cpu0), (t1, cpu1) = self.cpu_at[later - 1 : later + 1]
        return cpu0 + (cpu1 - cpu0) * (when_s - t0) / (t1 - t0)


@dataclass(slots=True)
class _Watch:
    """Samples of a process and all below it."""

    root: psutil.Process
    cpu_at: list[tuple[float, float]] = field(default_factory=list)
    cpu_of: dict[int, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    processes: int = 0

    def look(self) -> None:
        rss_bytes, alive = 0, 0
        with suppress(psutil.Error):
            for process in [self.root, *self.root.children(recursive=True)]:
                with suppress(psutil.Error), process.oneshot():
                    times = process.cpu_times()
                    self.cpu_of[process.pid] = times.user + times.system
                    rss_bytes += process.memory_info().rss
                    alive += 1
        self.cpu_at.append((time.time(), sum(self.cpu_of.values())))
        self.peak_rss_bytes = max(self.peak_rss_bytes, rss_bytes)
        self.processes = max(self.processes, alive)


def run(
    command: Sequence[str | Path], environ: Mapping[str, str], *, folder: Path, timeout_s: float
) -> Ran:
    """Run `command` in `folder`; what it prints goes to the file `printed` there."""
    known = {name: os.environ[name] for name in KEPT if name in os.environ}
    before_s, began = _children_cpu_s(), time.monotonic()
    with (
        (folder / "printed").open("w") as out,
        subprocess.Popen(  # noqa: S603 - load tools, pinned
            [str(word) for word in command],
            cwd=folder,
            env={**known, **QUIET, **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        watch = _Watch(psutil.Process(process.pid))
        try:
            exit_code = _wait(process, watch, began + timeout_s)
        finally:
            wall_s = time.monotonic() - began
            _end(watch.root)
    cpu_s = max(_children_cpu_s() - before_s, watch.cpu_at[-1][1])
    return Ran(
        exit_code=exit_code,
        wall_s=wall_s,
        cpu_s=cpu_s,
        peak_rss_bytes=watch.peak_rss_bytes,
        processes=watch.processes,
        cpu_at=tuple(watch.cpu_at),
    )


def _wait(process: subprocess.Popen[bytes], watch: _Watch, until: float) -> int | None:
    while time.monotonic() < until:
        watch.look()
        with suppress(subprocess.TimeoutExpired):
            return process.wait(SAMPLE_S)
    return None


def _end(root: psutil.Process) -> None:
    """Nothing of it stays, however it ended."""
    with suppress(psutil.Error):
        for process in [*root.children(recursive=True), root]:
            with suppress(psutil.Error):
                process.kill()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(root.pid, signal.SIGKILL)


def _children_cpu_s() -> float:
    """Of all children that have ended and were waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

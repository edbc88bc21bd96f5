"""The whole suite as `make test` runs it, in two stages; at the end, the seconds of each part.

Side by side run the static checks, the tests that judge no time on two workers, and one after the
other those of them that need real servers. Then the machine belongs to one test at a time: those
marked `alone`, which measure. What failed is run once more with nothing beside it: a busy machine
spoils a test, a fault two.
"""

# ruff: noqa: T201  -- a script prints
from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parents[1]
POLL_S = 0.2
SPREAD = ("-n", "2", "--dist", "loadfile")
BEHIND = ("nice", "-n", "5")  # servers come first: they, and who asks them, have a clock


@dataclass(kw_only=True)
class Part:
    """A command that is running, or has run: its exit status and seconds."""

    name: str
    command: list[str]
    again: list[str] = field(default_factory=list)  # what repeats that which failed
    said: IO[bytes] | None = None  # None: straight to the terminal
    process: subprocess.Popen[bytes] | None = None
    began_s: float = 0.0
    took_s: float = 0.0
    status: int = 0

    def start(self) -> None:
        """Begin."""
        self.began_s = time.monotonic()
        self.process = subprocess.Popen(
            self.command, cwd=CHECKOUT, stdout=self.said, stderr=self.said
        )

    def ended(self) -> bool:
        """Whether it has ended; what it said until then is told at once."""
        assert self.process
        if self.process.poll() is None:
            return False
        self.status, self.took_s = self.process.returncode, time.monotonic() - self.began_s
        if self.said:
            self.said.seek(0)
            print(f" {self.name} ".center(80, "="), self.said.read().decode(errors="replace"))
            sys.stdout.flush()
        return True


def pytest(
    name: str,
    marks: str,
    *flags: str,
    behind: tuple[str, ...] = (),
    said: IO[bytes] | None = None,
) -> Part:
    """The tests with these marks. Each part remembers for itself which of them failed."""
    own = [sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{name}", "-m", marks]
    again = [*own, "--last-failed", "--last-failed-no-failures", "none"]
    return Part(name=name, command=[*behind, *own, *flags], again=again, said=said)


def together(parts: list[Part]) -> None:
    """Run them side by side."""
    for part in parts:
        part.start()
    running = parts
    while running := [part for part in running if not part.ended()]:
        time.sleep(POLL_S)


def once_more(part: Part) -> Part | None:
    """What failed, alone; None where nothing did, or nothing can be repeated."""
    if not part.status or not part.again:
        return None
    repeated = Part(name=f"{part.name}, again", command=part.again)
    together([repeated])
    part.status = repeated.status
    return repeated


def main() -> int:
    """Exit status: 1 where something fails, and where it can be repeated, fails twice."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    ran: list[Part] = []
    with ExitStack() as stack:
        kept = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
        side_by_side = [
            pytest("tests", "not servers and not alone", *SPREAD, behind=BEHIND),
            pytest("servers", "servers and not alone", said=kept[0]),
            Part(
                name="static checks",
                command=[*BEHIND, "make", "compiled", "check-static"],
                said=kept[1],
            ),
        ]
        for stage in (side_by_side, [pytest("alone", "alone")]):
            together(stage)
            ran += [*stage, *filter(None, map(once_more, stage))]
    for part in ran:
        print(f"{part.name:<20} {part.took_s:6.0f} s  {'failed' if part.status else 'passed'}")
    return int(any(part.status for part in ran))


if __name__ == "__main__":
    sys.exit(main())

"""The server that knows the truth: it keeps to a schedule and logs when it really sent."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from contest.install import NotInstalledError, Part, Step, installed
from costaudit.ground.stats import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE = Path(__file__).parents[1] / "fidelity" / "truth_server.c"
MODEL = "truth"
WORDS = (" the", " of", " and", " to", " in", " is", " for", " that")  # what it streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the server's log of one run says. Latencies in ms; times in Unix nanoseconds.

    Attributes:
        requests: that arrived, a tool's own trial requests among them.
        accepts: connections, without the one that asked for this.
        tokens: that were sent.
        itl_p50_ms: of tokens after the first chunk, each with its share of the chunk's gap.
    """

    requests: int
    answered: int
    cancelled: int
    accepts: int
    tokens: int
    began_ns: int
    ended_ns: int
    ttft_p50_ms: float
    ttft_p99_ms: float
    itl_p50_ms: float | None
    itl_p99_ms: float | None

    @property
    def span_s(self) -> float:
        """From the first request's arrival to the last token's departure."""
        return (self.ended_ns - self.began_ns) / 1e9


def program() -> Path:
    """The compiled server.

    Raises:
        NotInstalledError: there is no C compiler.
    """
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    return installed(Part(name="truth", key=(digest,), build=_build)) / "truth_server"


def _build(folder: Path, step: Step) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotInstalledError("there is no C compiler here")
    step.run(compiler, "-O2", "-o", folder / "truth_server", SOURCE)


@contextmanager
def serving(options: Sequence[str]) -> Iterator[str]:
    """The server on a free port; its URL without /v1."""
    command: list[str | Path] = [program(), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            port = process.stdout.readline() if process.stdout else ""
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            process.kill()


def told(url: str, *, tokens: int, per_chunk: int) -> Truth | None:
    """What the server saw and did so far; None: no request was answered to its end."""
    stats = json.loads(_get(f"{url}/__stats"))
    lines = _get(f"{url}/__log").splitlines()
    whole = [[int(word) for word in line.split()] for line in lines if not line.endswith("x")]
    whole = [times for times in whole if len(times) > 1]
    if not whole:
        return None
    ttft_ms = [(times[1] - times[0]) / 1e6 for times in whole]
    itl_ms = [(b - a) / 1e6 / per_chunk for times in whole for a, b in pairwise(times[1:])]
    return Truth(
        requests=stats["requests"],
        answered=len(whole),
        cancelled=stats["cancelled"],
        accepts=stats["accepts"] - 1,
        tokens=tokens * len(whole),
        began_ns=min(times[0] for times in whole),
        ended_ns=max(times[-1] for times in whole),
        ttft_p50_ms=percentile(ttft_ms, 0.5),
        ttft_p99_ms=percentile(ttft_ms, 0.99),
        itl_p50_ms=percentile(itl_ms, 0.5) if itl_ms else None,
        itl_p99_ms=percentile(itl_ms, 0.99) if itl_ms else None,
    )


def _get(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        text: str = answer.read().decode()
    return text

"""Audits of the real vLLM in a row: do they agree, and what does a busy neighbour do to one?

    python bench/audits.py [--audits 3] [--seconds 120] [--neighbour] [--url URL] [--folder DIR]

Without --url the tests' own vLLM with its tiny model is started (it is installed once: minutes).
With --neighbour one more audit runs beside a process that burns one core. The bar: no audit takes
longer than 3 minutes, those in a row agree within 5 % on the cost per token, and the one with a
neighbour is either refused or its interval still meets theirs. Beside it: the mean TTFT by client
and server, and whether both count the same tokens. `--folder` keeps the recordings.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costaudit.measure.rungs import agreement, replay_span
from costaudit.recording.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TESTS = Path(__file__).resolve().parents[1] / "tests"
LONGEST_S, MOST_SHARE = 180.0, 0.05
HEAD = (
    *("audit", "took", "device-s per 1M tokens", "interval", "fit error"),
    *("TTFT, client / server, ms", "tokens beyond ours, probes / replay", "load", "dollars"),
)
BURN = (sys.executable, "-c", "while True: pass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One audit: seconds it took, device-seconds per 1M tokens, and why dollars were refused.

    Attributes:
        ttft_ms: means by client and server, of requests sent one by one; None: not told.
        tokens: by the server's counters less ours: over the step probes, and over the replay.
    """

    name: str
    wall_s: float
    low: float
    mean: float
    high: float
    refused: str
    fit_error_share: float
    ttft_ms: tuple[float, float] | None
    tokens: tuple[float | None, float | None]
    load: float

    def __str__(self) -> str:
        """A row of the table."""
        verdict = f"refused: {self.refused}" if self.refused else "claimed"
        ttft = "–" if self.ttft_ms is None else "{:.1f} / {:.1f}".format(*self.ttft_ms)
        tokens = " / ".join("–" if n is None else f"{n:+.0f}" for n in self.tokens)
        return (
            f"| {self.name} | {self.wall_s:.0f} s | {self.mean:.1f} | {self.low:.1f} to"
            f" {self.high:.1f} | {self.fit_error_share:.1%} | {ttft} | {tokens} | {self.load:.1f}"
            f" | {verdict} |"
        )


def main() -> int:
    """Exit status: 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--neighbour", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        url = asked.url or stack.enter_context(own_vllm())
        print(f"| {' | '.join(HEAD)} |")
        print("|---" * len(HEAD) + "|")
        quiet = [shown(f"{n + 1}", url, folder, asked.seconds) for n in range(asked.audits)]
        beside = []
        if asked.neighbour:
            stack.enter_context(burning())
            beside = [shown("beside a neighbour", url, folder, asked.seconds)]
    missed = bars(quiet, beside)
    for line in missed:
        print(f"missed: {line}")
    return bool(missed)


def shown(name: str, url: str, folder: Path, seconds: float) -> Seen:
    """Audit once by the command line, and print the row."""
    began, command = time.monotonic(), [sys.executable, "-m", "costaudit", "profile", url]
    path = folder / f"{name}.costaudit"
    own = ["--seconds", str(seconds), "--price", "1", "-o", str(path), "--json", "--force"]
    done = subprocess.run(  # noqa: S603 - our own command line
        [*command, *own], check=False, capture_output=True, text=True
    )
    if not done.stdout:
        sys.exit(done.stderr)
    document = json.loads(done.stdout)
    between = document["bill"]["gpu_s_per_1m_tokens_interval"]
    seen = Seen(
        name=name,
        wall_s=time.monotonic() - began,
        low=between["low"],
        mean=document["bill"]["gpu_s_per_1m_tokens"],
        high=between["high"],
        refused=document["steptime"]["why"],
        fit_error_share=document["steptime"]["error_p50_share"] or 0.0,
        ttft_ms=_ttft_ms(document["server"]),
        tokens=_tokens(path),
        load=os.getloadavg()[0],
    )
    print(seen, flush=True)
    return seen


def _ttft_ms(server: Mapping[str, Any]) -> tuple[float, float] | None:
    both = server.get("agreement", {}).get("ttft_mean_s")
    return None if both is None else (1e3 * both["client"], 1e3 * both["server"])


def _tokens(path: Path) -> tuple[float | None, float | None]:
    with Recording.read(path) as recording:
        both, span = agreement(recording), replay_span(recording)
    name = "generated_tokens"
    probes = None if both is None else both.foreign.get(name)
    return probes, None if span is None else span.foreign.get(name)


def bars(quiet: Sequence[Seen], beside: Sequence[Seen]) -> list[str]:
    """What is not as it should be, in sentences."""
    missed = [
        f"audit {seen.name} took {seen.wall_s:.0f} s"
        for seen in (*quiet, *beside)
        if seen.wall_s > LONGEST_S
    ]
    claimed = [seen for seen in quiet if not seen.refused]
    if len(claimed) < len(quiet):
        missed.append(f"{len(quiet) - len(claimed)} of {len(quiet)} claim no dollars")
    if claimed:
        low, high = min(s.mean for s in claimed), max(s.mean for s in claimed)
        print(f"\nin a row within {high / low - 1:.1%}")
        if high / low - 1 > MOST_SHARE:
            missed.append(f"audits in a row differ by {high / low - 1:.1%}")
        highest = max(seen.high for seen in claimed)
        missed += [
            f"beside a neighbour {seen.low:.1f} to {seen.high:.1f} is claimed with confidence"
            for seen in beside
            if not seen.refused and seen.low > highest
        ]
    return missed


@contextmanager
def own_vllm() -> Iterator[str]:
    """The tests' own vLLM."""
    sys.path.insert(0, str(TESTS))
    with import_module("parts.vllm_cpu").serve() as server:
        yield server.base_url


@contextmanager
def burning() -> Iterator[None]:
    """A process that uses up one core."""
    process = subprocess.Popen(BURN)  # noqa: S603 - our own
    try:
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())

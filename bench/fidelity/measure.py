"""How far is the client off, and what does it cost? The truth is the truth server's own log.

Each line is one rung of 128-word prompts and 64 tokens against `truth_server.c` on this machine:
percentiles reported minus logged in the same run, in milliseconds; CPU seconds of the client for
1,000 tokens; its peak memory with every record kept. Paced: first token after 200 ms, then one
each 20 ms. Instant: answers at once, one write per token. One write: the same in a single write.

    python bench/fidelity/measure.py [--json]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.ground.stats import percentile
from costaudit.measure.latency import unpack
from costaudit.record.client.load import Endpoint, Rung, RungEnd, Shot
from costaudit.record.client.process import peak_rss_bytes
from costaudit.record.client.run import run_rung
from costaudit.record.dialects.dialect import Ask
from costaudit.record.dialects.openai_chat import OpenAIChat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.recording.rows import Answer

TOKENS = 64
PACED, INSTANT, ONE_WRITE = ["-t", "200", "-i", "20"], ["-t", "0", "-i", "0"], ["-t0", "-i0", "-b"]
RUNGS = (
    ("paced", PACED, 1, 10),
    ("paced", PACED, 64, 256),
    ("paced", PACED, 256, 768),
    ("paced", PACED, 512, 1536),
    ("instant", INSTANT, 64, 20_000),
    ("instant", INSTANT, 256, 20_000),
    ("one write", ONE_WRITE, 64, 20_000),
)


def build(folder: Path) -> Path:
    """The truth server, compiled."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        sys.exit("no C compiler here")
    program = folder / "truth_server"
    source = Path(__file__).parent / "truth_server.c"
    subprocess.run([compiler, "-O2", "-o", program, source], check=True)  # noqa: S603
    return program


@contextmanager
def serving(program: Path, options: list[str], *, tokens: int = TOKENS) -> Iterator[str]:
    """The truth server on a free port; its URL."""
    command = [str(program), *options, "-n", str(tokens)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            if process.stdout is None:
                sys.exit("the truth server does not say its port")
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def shots(count: int, tokens: int = TOKENS) -> Iterator[Shot]:
    """The same request again and again."""
    call = OpenAIChat().call(Ask(prompt="word " * 128, output_tokens=tokens), model="truth")
    return (Shot(number=number, call=call, output_tokens=tokens) for number in range(count))


def load(url: str, streams: int, requests: int) -> tuple[RungEnd, list[Answer]]:
    """Run one rung and keep its answers."""
    answers: list[Answer] = []
    end = run_rung(
        Endpoint(base_url=url),
        OpenAIChat(),
        Rung(shots=shots(requests), concurrency=streams, requests=requests),
        task="fidelity",
        on_answer=answers.append,
    )
    if end.failed:
        sys.exit(f"{end.failed} requests failed: {next(a.error for a in answers if a.error)}")
    return end, answers


def logged(url: str) -> list[list[int]]:
    """Of each request: when the server read it, then when it sent each token; ns."""
    with urllib.request.urlopen(f"{url}/__log") as answer:  # noqa: S310 - our own server
        lines = answer.read().decode().splitlines()
    return [[int(word) for word in line.split() if word != "x"] for line in lines]


def errors_ms(answers: list[Answer], log: list[list[int]]) -> dict[str, float]:
    """Percentiles reported minus percentiles logged."""
    seen = [unpack(answer.event_us, "I") for answer in answers]
    ttft = [times[0] / 1e3 for times in seen]
    gaps = [(b - a) / 1e3 for times in seen for a, b in pairwise(times)]
    true_ttft = [(times[1] - times[0]) / 1e6 for times in log]
    true_gaps = [(b - a) / 1e6 for times in log for a, b in pairwise(times[1:])]
    return {
        "ttft_p50_error_ms": percentile(ttft, 0.5) - percentile(true_ttft, 0.5),
        "ttft_p99_error_ms": percentile(ttft, 0.99) - percentile(true_ttft, 0.99),
        "itl_p99_error_ms": percentile(gaps, 0.99) - percentile(true_gaps, 0.99),
    }


def measure(program: Path, name: str, options: list[str], streams: int, requests: int) -> str:
    """One rung, as JSON."""
    with serving(program, options) as url:
        end, answers = load(url, streams, requests)
        peak_bytes = peak_rss_bytes()  # before the log, which is larger than all else
        log = logged(url)
    tokens = requests * TOKENS
    row = {"server": name, "streams": streams, "requests": requests}
    row |= {"requests_more_than_asked": len(log) - requests}
    row |= errors_ms(answers, log) if name == "paced" else {}
    row |= {
        "requests_per_s": end.sent / end.wall_s,
        "tokens_per_s": tokens / end.wall_s,
        "cpu_s_per_1k_tokens": 1000 * end.health.cpu_s / tokens,
        "connections": end.health.connections,
        "shared_events": end.health.shared_events,
        "lag_p99_ms": 1e3 * (end.health.lag_p99_s or 0),
        "bottleneck": end.health.why,
        "peak_rss_mb": peak_bytes / 1e6,
    }
    return json.dumps(row)


def in_own_process(program: Path, number: int) -> dict[str, object]:
    """One rung in a fresh process, for its own peak of memory."""
    command = [sys.executable, __file__, "--one", str(number), "--program", str(program)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    row: dict[str, object] = json.loads(done.stdout)
    return row


def main() -> None:
    """Every rung, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object per line")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(measure(given.program, *RUNGS[given.one]))
        return
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        for number in range(len(RUNGS)):
            row = in_own_process(program, number)
            if given.json:
                print(json.dumps(row), flush=True)
                continue
            shown = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
            print(" · ".join(shown), flush=True)


if __name__ == "__main__":
    main()

"""Does the client's memory stay flat? One rung of a million requests, its memory while it runs.

The truth server answers at once, in one write; each answer's record is made whole and goes into the
latencies that `costaudit profile --rung` prints, then it is dropped.

    python bench/fidelity/memory.py [--requests N] [--streams N] [--tokens N] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from measure import build, serving, shots

from costaudit.measure.latency import Latencies
from costaudit.record.client.load import Endpoint, Rung
from costaudit.record.client.run import run_rung
from costaudit.record.dialects.openai_chat import OpenAIChat

if TYPE_CHECKING:
    from costaudit.record.client.load import RungEnd
    from costaudit.recording.rows import Answer

BAR_MB, FLAT_MB = 80.0, 2.0
LOOKS = 10  # at the memory, over the rung


def main() -> int:
    """Exit status: 1 where memory is not flat between the first tenth and the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=8, help="in an answer")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rss_mb: dict[int, float] = {}
    began_s = time.monotonic()
    end = load(asked.requests, asked.streams, asked.tokens, rss_mb)
    took_s = time.monotonic() - began_s
    if asked.json:
        print(json.dumps({"failed": end.failed, "took_s": took_s, "rss_mb": rss_mb}))
    else:
        print(f"{end.sent} requests, {end.failed} failed, {took_s:.0f} s")
        for answers, mb in rss_mb.items():
            print(f"after {answers:>9,} answers {mb:.1f} MB")
    looks = [*rss_mb.values()]
    return int(end.failed > 0 or looks[-1] > BAR_MB or looks[-1] - looks[0] > FLAT_MB)


def load(requests: int, streams: int, tokens: int, rss_mb: dict[int, float]) -> RungEnd:
    """Run the rung; `rss_mb` gets this process's memory by the number of answers so far."""
    own, seen = psutil.Process(), Latencies(open_loop=False)

    def take(answer: Answer) -> None:
        seen.add(answer)
        if seen.answers % max(1, requests // LOOKS) == 0:
            rss_mb[seen.answers] = own.memory_info().rss / 1e6

    with (
        tempfile.TemporaryDirectory() as folder,
        serving(build(Path(folder)), ["-t", "0", "-i", "0", "-b"], tokens=tokens) as url,
    ):
        return run_rung(
            Endpoint(base_url=url),
            OpenAIChat(),
            Rung(shots=shots(requests, tokens), concurrency=streams, requests=requests),
            task="memory",
            on_answer=take,
        )


if __name__ == "__main__":
    sys.exit(main())

"""How much slower is a loaded server while `costaudit diagnose` looks at it?

    python bench/diagnose_slowdown.py http://127.0.0.1:8000 --model NAME [--rounds 12] [--clients 8]
    python bench/diagnose_slowdown.py --vllm                # the tests' own, on one core
    python bench/diagnose_slowdown.py --vllm --crowded      # on all: none is left for others

Closed-loop clients keep the server busy. Rounds of equal length alternate in random pairs: one with
a diagnosis running against the server, one without. Prints the ratio of generated tokens per second
(with over without) and its 95 % interval by Student's t over the pairs' logarithms. The server's
generated tokens are counted as they stream, by its own running usage. A look lasts as long as it
does by default. It runs at the lowest priority, as if it were on another machine: what is measured
is what being read costs the server. A server whose GPU computes has cores to spare for its front
end; so has the vLLM that is started here, unless `--crowded` leaves none. `--plain` gives the look
the usual priority, and so counts its own start-up of half a second of a core too. What a look
itself takes of the CPU is printed beside it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import platform
import random
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROMPT_TOKENS, OUTPUT_TOKENS = 64, 64


class Clients:
    """Closed-loop clients that count the tokens that they get."""

    def __init__(self, url: str, model: str, count: int) -> None:
        self.tokens = 0
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._host, self._model = urlsplit(url).netloc, model
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        rng = random.Random(number)
        while not self._ended.is_set():
            body = {
                "model": self._model,
                "prompt": rng.choices(range(10, 1500), k=PROMPT_TOKENS),
                "max_tokens": OUTPUT_TOKENS,
                "ignore_eos": True,
                "stream": True,
                "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            }
            line = http.client.HTTPConnection(self._host, timeout=120)
            line.request("POST", "/v1/completions", json.dumps(body), _JSON)
            self._count(line.getresponse())
            line.close()

    def _count(self, answer: http.client.HTTPResponse) -> None:
        seen = 0
        for event in answer:
            if event.startswith(_EVENT):
                upto = json.loads(event.removeprefix(_EVENT[:-1]))["usage"]["completion_tokens"]
                with self._lock:
                    self.tokens += upto - seen
                seen = upto


_JSON, _EVENT = {"Content-Type": "application/json"}, b"data: {"


def round_rate(clients: Clients, look: Sequence[str], seconds: float, *, looked_at: bool) -> float:
    """Tokens per second of one round."""
    command = [*look, "--seconds", str(seconds - 2)]
    looking = subprocess.Popen(command, stdout=subprocess.DEVNULL) if looked_at else None  # noqa: S603
    before, began = clients.tokens, time.monotonic()
    time.sleep(seconds)
    rate = (clients.tokens - before) / (time.monotonic() - began)
    if looking is not None:
        looking.wait()
    if not rate:
        sys.exit("no token came in a whole round: does the server stream, with its usage?")
    return rate


def measured(url: str, asked: argparse.Namespace) -> dict[str, Any]:
    """The ratio with its interval, and the rates of all rounds."""
    look = [sys.executable, "-m", "costaudit", "diagnose", url]
    look = look if asked.plain else ["nice", "-n", "19", *look]
    rng, pairs = random.Random(1), []
    used_before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Clients(url, asked.model, asked.clients) as clients:
        time.sleep(3)
        for _ in range(asked.rounds):
            order = rng.sample((True, False), 2)
            rates = {on: round_rate(clients, look, asked.seconds, looked_at=on) for on in order}
            pairs.append((rates[True], rates[False]))
    logs = [math.log(with_it / without) for with_it, without in pairs]
    mean = sum(logs) / len(logs)
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime - used_before.ru_utime - used_before.ru_stime
    return {
        "tokens_per_s_with_over_without": round(math.exp(mean), 4),
        "low_95": round(math.exp(mean - half), 4),
        "high_95": round(math.exp(mean + half), 4),
        "cpu_s_of_a_look": round(cpu_s / len(pairs), 3),
        "rounds_s": asked.seconds,
        "clients": asked.clients,
        "lowest_priority": not asked.plain,
        "crowded": asked.crowded,
        "tokens_per_s": [[round(rate, 1) for rate in pair] for pair in pairs],
        "at": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }


@contextmanager
def target(asked: argparse.Namespace) -> Iterator[str]:
    """The server's address; with `--vllm` of one that is started for it."""
    if not asked.vllm:
        yield asked.url
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from parts import vllm_cpu  # noqa: PLC0415 - the tests' own server, where it is asked for

    one_core = {**vllm_cpu.FOR_TESTS["environ"], "OMP_NUM_THREADS": "1"}
    with vllm_cpu.serve(environ={} if asked.crowded else one_core) as server:
        asked.model = server.model
        yield server.base_url


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--vllm", action="store_true", help="start the tests' vLLM and load that")
    parser.add_argument("--crowded", action="store_true", help="that vLLM computes on every core")
    parser.add_argument("--rounds", type=int, default=12, help="pairs of rounds")
    parser.add_argument("--seconds", type=float, default=32.0, help="of one round")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--plain", action="store_true", help="look at the usual priority")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if not asked.vllm and not (asked.url and asked.model):
        parser.error("a server and its --model, or --vllm")
    if asked.crowded and not asked.vllm:
        parser.error("--crowded is of the vLLM that --vllm starts")
    with target(asked) as url:
        found = measured(url, asked)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    print(
        f"tokens per second with over without: {found['tokens_per_s_with_over_without']}"
        f" (95 %: {found['low_95']} to {found['high_95']}, {asked.rounds} pairs);"
        f" a look took {found['cpu_s_of_a_look']} CPU seconds of its own"
    )


if __name__ == "__main__":
    main()

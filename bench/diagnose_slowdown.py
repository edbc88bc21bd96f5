"""How much slower is a loaded server while `costaudit diagnose` looks at it?

    python bench/diagnose_slowdown.py http://127.0.0.1:8000 --model NAME [--rounds 12] [--clients 8]

Closed-loop clients keep the server busy. Rounds of equal length alternate in random pairs: one with
a diagnosis running against the server, one without. Prints the ratio of generated tokens per second
(with over without) and its 95 % interval by Student's t over the pairs' logarithms. The server's
generated tokens are counted by its answers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import random
import subprocess
import sys
import threading
import time
from typing import Self
from urllib.parse import urlsplit

from scipy import stats

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
            }
            line = http.client.HTTPConnection(self._host, timeout=120)
            line.request("POST", "/v1/completions", json.dumps(body), _JSON)
            usage = json.loads(line.getresponse().read())["usage"]
            line.close()
            with self._lock:
                self.tokens += usage["completion_tokens"]


_JSON = {"Content-Type": "application/json"}


def round_rate(clients: Clients, url: str, seconds: float, *, looked_at: bool) -> float:
    """Tokens per second of one round."""
    command = [sys.executable, "-m", "costaudit", "diagnose", url, "--seconds", str(seconds - 2)]
    looking = subprocess.Popen(command, stdout=subprocess.DEVNULL) if looked_at else None  # noqa: S603
    before, began = clients.tokens, time.monotonic()
    time.sleep(seconds)
    rate = (clients.tokens - before) / (time.monotonic() - began)
    if looking is not None:
        looking.wait()
    return rate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=12, help="pairs of rounds")
    parser.add_argument("--seconds", type=float, default=10.0, help="of one round")
    parser.add_argument("--clients", type=int, default=8)
    asked = parser.parse_args()
    rng, logs = random.Random(1), []
    with Clients(asked.url, asked.model, asked.clients) as clients:
        time.sleep(3)
        for _ in range(asked.rounds):
            order = rng.sample((True, False), 2)
            rates = {o: round_rate(clients, asked.url, asked.seconds, looked_at=o) for o in order}
            logs.append(math.log(rates[True] / rates[False]))
    mean = sum(logs) / len(logs)
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
    low, high = math.exp(mean - half), math.exp(mean + half)
    print(
        f"tokens per second with over without: {math.exp(mean):.4f}"
        f" (95 %: {low:.4f} to {high:.4f}, {len(logs)} pairs)"
    )


if __name__ == "__main__":
    main()

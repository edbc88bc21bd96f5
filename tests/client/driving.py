"""Runs a rung in a test and keeps what it handed over."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from tiny_dialect import TinyChat, shots

from costaudit.measure.latency import unpack
from costaudit.record.client.load import Endpoint, Rung, RungEnd
from costaudit.record.client.run import never, run_rung


@dataclass
class Ran:
    end: RungEnd
    answers: list

    @property
    def ttft_ms(self):
        return [times[0] / 1e3 for times in self.times_us]

    @property
    def gaps_ms(self):
        return [(b - a) / 1e3 for times in self.times_us for a, b in pairwise(times)]

    @property
    def times_us(self):
        return [unpack(answer.event_us, "I") for answer in self.answers]


def run(
    url,
    *,
    streams=1,
    requests=1,
    tokens=64,
    starts=None,
    dialect=None,
    headers=None,
    timeout_s=30.0,
    window_s=None,
    stop=never,
    verify_tls=True,
):
    answers = []
    end = run_rung(
        Endpoint(base_url=url, headers=headers or {}, verify_tls=verify_tls),
        dialect or TinyChat(),
        Rung(
            shots=shots(10**9 if starts is None else len(starts), tokens=tokens, starts=starts),
            concurrency=streams,
            requests=requests,
            timeout_s=timeout_s,
            window_s=window_s,
        ),
        task="rung",
        on_answer=answers.append,
        stop=stop,
    )
    return Ran(end, answers)

"""TTFT, ITL, TPOT and end-to-end latency of answers, by their exact definitions.

An output event is a piece of the stream that carries output of the model; a role, a usage or a
keep-alive event is none. t_i is when event i arrived, n_i how many tokens it carried, and the
start is when the request was sent: in a closed loop when it was, in an open loop when it was
intended to be, so that a server (or a client) that stalls is not flattered by requests that it
kept from being sent ("coordinated omission", Tene 2013).

    TTFT       t_1 − start
    ITL        (t_i − t_{i−1}) / n_i, counted n_i times, i > 1: what each later token waited.
               Four tokens in a chunk each 80 ms are 20 ms each. Tokens of the first chunk came
               together with the first token and waited for none. An event without a token hands
               its wait on to the next. Events that share a read share a stamp: the first of them
               has the whole gap and the others none, so a stall is never spread over a burst.
    chunk gap  t_i − t_{i−1}, once for each event: what a reader sees
    TPOT       (t_last − t_1) / (tokens − n_1), one for each answer
    E2E        the end of the answer − start

Only whole answers without an error count. Where the server did not say how many tokens it sent,
ITL and TPOT of an answer are unknown and left out; the number of chunks is never taken for it.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import repeat
from operator import add, sub
from typing import TYPE_CHECKING, Self

from costaudit.ground.tally import Tally

if TYPE_CHECKING:
    from costaudit.recording.rows import Answer

SHARES = (0.5, 0.9, 0.99)
_US = 1e6
_CONFIDENCE = 0.99
_DIFFERENT_ERRORS = 32  # sentences that are told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """One percentile of a latency.

    Attributes:
        value_s: linear-interpolated.
        client_error_s: what the client's own delay in reading could have added, had it not been
            for the kernel's stamps: the percentile of the latencies with the largest delay (user
            stamp minus kernel stamp) of each answer added, minus `value_s`. With kernel stamps
            the true error is below it. None: no kernel stamps, so it is not known.
        enough: there are samples enough to bound it (`enough`); else it is to be marked.
    """

    value_s: float
    client_error_s: float | None
    enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One latency over a rung; no percentiles without samples."""

    samples: int
    p50: Percentile | None
    p90: Percentile | None
    p99: Percentile | None


def enough(samples: int, share: float) -> bool:
    """Do so many samples bound this percentile from above at 99 % confidence?

    The second largest of n samples must lie above it: share^n + n (1 − share) share^(n−1) ≤ 1 %.
    For p99 that is 662 samples (`ground.stats.P99_MIN_SAMPLES`), the rule of MLPerf inference's
    early stopping with one sample above allowed.
    """
    if samples < 1:
        return False
    missed = share ** (samples - 1) * (share + samples * (1 - share))
    return missed <= 1 - _CONFIDENCE


class Delays:
    """One latency, with and without the client's delay; flat memory."""

    def __init__(self) -> None:
        self._plain = Tally()
        self._delayed = Tally()
        self._bounded = True

    def add(self, us: int, lag_us: int | None, times: int = 1) -> None:
        """One latency in µs, `times` times; `lag_us` is the client's delay."""
        self._plain.add(us, times)
        self._delayed.add(us + (lag_us or 0), times)
        self._bounded = self._bounded and lag_us is not None

    def add_all(self, us: list[int], lag_us: int | None) -> None:
        """Many latencies of one answer."""
        if us and us.count(us[0]) == len(us):  # all came at once
            self.add(us[0], lag_us, len(us))
            return
        self._plain.add_all(us)
        self._delayed.add_all(map(add, us, repeat(lag_us or 0)))
        self._bounded = self._bounded and lag_us is not None

    def absorb(self, other: Self) -> None:
        """Count all that `other` has counted."""
        self._plain.absorb(other._plain)
        self._delayed.absorb(other._delayed)
        self._bounded = self._bounded and other._bounded

    def spread(self) -> Spread:
        """The percentiles so far."""
        samples = len(self._plain)
        if not samples:
            return Spread(samples=0, p50=None, p90=None, p99=None)
        p50, p90, p99 = (
            Percentile(
                value_s=value / _US,
                client_error_s=(delayed - value) / _US if self._bounded else None,
                enough=enough(samples, share),
            )
            for value, delayed, share in zip(
                self._plain.percentiles(SHARES),
                self._delayed.percentiles(SHARES),
                SHARES,
                strict=True,
            )
        )
        return Spread(samples=samples, p50=p50, p90=p90, p99=p99)


class Latencies:
    """The latencies of one rung, answer by answer; memory does not grow with their number."""

    def __init__(self, *, open_loop: bool) -> None:
        self._open_loop = open_loop
        self.ttft, self.tpot, self.e2e = Delays(), Delays(), Delays()
        self._alike = Delays()  # gaps before one token: chunk gap and ITL, nearly all there are
        self._gaps, self._itl = Delays(), Delays()  # the others
        self.answers = 0  # whole ones, without an error
        self.failed = 0
        self.prompt_tokens = 0  # of whole answers, as far as known
        self.output_tokens = 0
        self.untold = 0  # whole answers whose number of tokens is not known
        self.errors: Counter[str] = Counter()

    def add(self, answer: Answer) -> None:
        """One more answer."""
        if not answer.ok:
            self.failed += 1
            if answer.error in self.errors or len(self.errors) < _DIFFERENT_ERRORS:
                self.errors[answer.error] += 1
            return
        self.answers += 1
        self.prompt_tokens += answer.prompt_tokens or 0
        self.output_tokens += answer.output_tokens or 0
        self.untold += answer.output_tokens is None
        lag_us = None if answer.lag_s is None else round(answer.lag_s * _US)
        start_s = answer.intended_s if self._open_loop else answer.sent_s
        self.e2e.add(max(0, round((answer.end_s - start_s) * _US)), lag_us)
        packed = answer.event_us
        if not packed:
            return
        times_us = unpack(packed, "I")
        self.ttft.add(max(0, times_us[0] + round((answer.sent_s - start_s) * _US)), lag_us)
        if packed == packed[:4] * len(times_us):  # all came at once
            gaps_us = [0] * (len(times_us) - 1)
        else:
            gaps_us = [*map(sub, times_us[1:], times_us)]
        if answer.output_tokens is None:
            self._gaps.add_all(gaps_us, lag_us)
        elif gaps_us and not answer.event_tokens:  # one token each
            self._add_tpot(sum(gaps_us), len(gaps_us), lag_us)
            self._alike.add_all(gaps_us, lag_us)
        else:
            self._gaps.add_all(gaps_us, lag_us)
            self._add_tokens(gaps_us, event_tokens(answer), lag_us)

    @property
    def itl(self) -> Delays:
        """What each later token waited."""
        return _joined(self._itl, self._alike)

    @property
    def chunk_gap(self) -> Delays:
        """What each later event waited."""
        return _joined(self._gaps, self._alike)

    def _add_tpot(self, span_us: int, tokens: int, lag_us: int | None) -> None:
        self.tpot.add(round(span_us / tokens), None if lag_us is None else round(lag_us / tokens))

    def _add_tokens(self, gaps_us: list[int], tokens: array[int], lag_us: int | None) -> None:
        later = sum(tokens) - tokens[0]
        if later < 1:
            return
        self._add_tpot(sum(gaps_us), later, lag_us)
        waited = 0
        for gap, count in zip(gaps_us, tokens[1:], strict=True):
            waited += gap
            if count:
                lag = None if lag_us is None else round(lag_us / count)
                self._itl.add(round(waited / count), lag, count)
                waited = 0


def _joined(*parts: Delays) -> Delays:
    whole = Delays()
    for part in parts:
        whole.absorb(part)
    return whole


def unpack(packed: bytes, kind: str) -> array[int]:
    """The little-endian numbers of `Answer.event_us` ("I") or `Answer.event_tokens` ("H")."""
    numbers = array(kind)
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def event_tokens(answer: Answer) -> array[int]:
    """Tokens of each event; empty stands for one each."""
    if answer.event_tokens:
        return unpack(answer.event_tokens, "H")
    return array("H", [1]) * (len(answer.event_us) // 4)

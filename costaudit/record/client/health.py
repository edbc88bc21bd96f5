"""Was the client good enough to be believed?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from costaudit.ground.tally import Tally
from costaudit.record.client.load import Health

if TYPE_CHECKING:
    from costaudit.record.client.exchange import Exchange
    from costaudit.recording.rows import Answer

_S = 1e-6  # seconds in a microsecond, the unit of every tally here
BUSY_SHARE = 0.9  # of one core: the client's thread had no time left
IDLE_SHARE = 0.05  # of the streams' time spent waiting for the client to send
LATE_S = 0.002  # lateness of its own below this is the operating system's, not the load's …
LATE_SHARE = 0.05  # … and above it this share of the median answer spoils latencies
MERGED_SHARE = 0.01  # of events whose stamps were merged because they were read late
LATE_READ_S = 0.002  # a read later than this may have merged events that came apart
GROWTH = 2.0  # lag in the last quarter of the rung over that in the first
GROWN_S = 0.02
_QUARTERS = 4


class Watch:
    """Collects what the client can know of itself during one rung."""

    def __init__(self) -> None:
        self._lags = Tally()
        self._late = Tally()
        self._own_late = Tally()
        self._durations = Tally()
        self._idle_us = self._busy_us = 0
        self._events = self._shared = self._merged = 0
        self._by_second: dict[int, tuple[int, int]] = {}  # lags, and their sum
        self._clock_s = time.time() - time.monotonic()
        self.begin()

    def begin(self) -> None:
        """The clock starts now: every stream is connected."""
        self._cpu_s = time.process_time()
        self._thread_s = time.thread_time()
        self._wall_s = time.monotonic()

    def note(self, exchange: Exchange, answer: Answer) -> None:
        """One more answer."""
        lags = exchange.lags_us
        self._lags.add_all(lags)
        own_us = max(0, exchange.own_late_ns) // 1000
        took_us = max(0, exchange.end_ns - exchange.sent_ns) // 1000
        self._own_late.add(own_us)
        self._late.add(max(0, exchange.sent_ns - exchange.intended_ns) // 1000)
        self._durations.add(took_us)
        self._idle_us += own_us
        self._busy_us += took_us
        self._events += len(answer.event_us) // 4
        self._shared += answer.shared_events
        if lags:
            if max(lags) * _S > LATE_READ_S:
                self._merged += answer.shared_events
            second = exchange.end_ns // 1_000_000_000
            count, total = self._by_second.get(second, (0, 0))
            self._by_second[second] = (count + len(lags), total + sum(lags))

    def health(self, *, connections: int, open_loop: bool, user_stamps: bool = False) -> Health:
        """The verdict on this rung."""
        wall_s = time.monotonic() - self._wall_s
        cpu_s = time.process_time() - self._cpu_s
        kernel = len(self._lags) > 0 and not user_stamps
        lag = [v * _S for v in self._lags.percentiles((0.5, 0.99, 1.0))] if kernel else [None] * 3
        thread_s = time.thread_time() - self._thread_s
        pace = self._pace_rules(thread_s / max(wall_s, 1e-9), open_loop=open_loop)
        why = next((told for broken, told in (*pace, *self._stamp_rules()) if broken), "")
        return Health(
            stamps="kernel" if kernel else "user",
            cpu_s=cpu_s,
            wall_s=wall_s,
            lag_p50_s=lag[0],
            lag_p99_s=lag[1],
            lag_max_s=lag[2],
            late_p99_s=_percentile_s(self._late, 0.99),
            shared_events=self._shared,
            events=self._events,
            connections=connections,
            bottleneck=bool(why),
            why=why,
            set_pace=any(broken for broken, _ in pace),
        )

    def _pace_rules(self, cpu_share: float, *, open_loop: bool) -> tuple[tuple[bool, str], ...]:
        """The client set the pace when it did one of these.

        - It used up a core (`BUSY_SHARE`): it could not have been faster.
        - It let streams of a closed loop wait (`IDLE_SHARE` of their time): the load was lower
          than asked for.
        - It started requests of an open loop late by its own doing, a free stream at hand (p99
          above `LATE_S` and above `LATE_SHARE` of the median answer).
        """
        idle = self._idle_us / max(1, self._idle_us + self._busy_us)
        late_s = _percentile_s(self._own_late, 0.99)
        may_be_late_s = max(LATE_S, LATE_SHARE * _percentile_s(self._durations, 0.5))
        return (
            (
                cpu_share >= BUSY_SHARE,
                f"the client used {cpu_share:.2f} of a core: it could not go faster",
            ),
            (
                not open_loop and idle > IDLE_SHARE,
                f"streams waited for the client for {idle:.2f} of their time",
            ),
            (
                open_loop and late_s > may_be_late_s,
                f"the client started requests up to {late_s:.3f} s late (p99)",
            ),
        )

    def _stamp_rules(self) -> tuple[tuple[bool, str], ...]:
        """The client spoilt the stamps when one of these holds.

        - It read late, so that events that came apart share a stamp (`MERGED_SHARE` of them; those
          that the server wrote together share one without harm, and are read in time).
        - It fell behind more and more (`GROWTH`, `GROWN_S`): its receive queues grew.
        - The clock that stamps was set meanwhile.
        """
        first_s, last_s = self._growth()
        return (
            (
                self._merged > MERGED_SHARE * max(1, self._events),
                f"the client read {self._merged} of {self._events} events too late to tell apart",
            ),
            (
                last_s > max(GROWN_S, GROWTH * first_s),
                f"the client fell behind: its lag grew from {first_s:.3f} s to {last_s:.3f} s",
            ),
            (
                abs(time.time() - time.monotonic() - self._clock_s) > LATE_S,
                "the clock of this machine was set during the rung",
            ),
        )

    def _growth(self) -> tuple[float, float]:
        """Mean lag of the first and of the last quarter of the rung, in seconds."""
        seconds = sorted(self._by_second)
        size = len(seconds) // _QUARTERS
        if not size:
            return 0.0, 0.0
        return self._mean_lag(seconds[:size]), self._mean_lag(seconds[-size:])

    def _mean_lag(self, seconds: list[int]) -> float:
        counts = sum(self._by_second[second][0] for second in seconds)
        return _S * sum(self._by_second[second][1] for second in seconds) / max(1, counts)


def _percentile_s(tally: Tally, share: float) -> float:
    return tally.percentiles((share,))[0] * _S if len(tally) else 0.0

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from costaudit.ground.errors import TargetError
from costaudit.record.meters import sampler as sampler_module
from costaudit.record.meters.host import HostMeter
from costaudit.record.meters.sampler import Sampler
from costaudit.recording.rows import Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Sequence


class Counting:
    """A meter that is lost after some readings."""

    def __init__(self, lost_after: int = 1 << 30) -> None:
        self.reads = 0
        self._lost_after = lost_after

    def sample(self, t_s: float) -> Sequence[Gauge]:
        self.reads += 1
        if self.reads > self._lost_after:
            return []
        return [Gauge(t_s=t_s, meter="counting", name="reads", value=self.reads, unit="")]

    def instruments(self) -> Sequence[Instrument]:
        lost = self.reads > self._lost_after
        state = State.LOST if lost else State.OK
        return [Instrument(meter="counting", state=state, why="gone" if lost else "")]

    def close(self) -> None:
        pass


def _until(true: threading.Event) -> None:
    assert true.wait(10)


def test_rows_come_in_order_and_stop_when_it_stops() -> None:
    rows: list[Gauge | Instrument] = []
    enough = threading.Event()

    def keep(tick: Sequence[Gauge | Instrument]) -> None:
        rows.extend(tick)
        if len(rows) >= 5:
            enough.set()

    with Sampler([Counting()], keep, time.monotonic, period_s=0.002):
        _until(enough)
    kept = len(rows)
    time.sleep(0.02)
    assert len(rows) == kept
    assert [r.value for r in rows if isinstance(r, Gauge)] == list(range(1, kept + 1))
    stamps = [r.t_s for r in rows if isinstance(r, Gauge)]
    assert stamps == sorted(stamps)
    assert not any(t.name == "costaudit-sampler" for t in threading.enumerate())


def test_a_lost_meter_gives_one_row_and_the_others_go_on() -> None:
    rows: list[Gauge | Instrument] = []
    healthy, enough = Counting(), threading.Event()

    def keep(tick: Sequence[Gauge | Instrument]) -> None:
        rows.extend(tick)
        if healthy.reads > 8:
            enough.set()

    with Sampler([Counting(lost_after=2), healthy], keep, time.monotonic, period_s=0.002):
        _until(enough)
    states = [r for r in rows if isinstance(r, Instrument)]
    assert [(s.meter, s.state, s.why) for s in states] == [("counting", State.LOST, "gone")]
    assert healthy.reads > 8


def test_rows_that_cannot_be_kept_are_told_at_the_end() -> None:
    refused = threading.Event()

    def refuse(tick: Sequence[Gauge | Instrument]) -> None:
        refused.set()
        raise TargetError("disk full")

    def run() -> None:
        with Sampler([Counting()], refuse, time.monotonic, period_s=0.002):
            _until(refused)

    with pytest.raises(TargetError, match="disk full"):
        run()


def test_a_long_run_samples_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler_module, "_TICKS_PER_PERIOD", 2)
    waits: list[float] = []
    sampler = Sampler([], lambda rows: None, time.monotonic, period_s=1.0)

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > 6

    monkeypatch.setattr(sampler._stopped, "wait", wait)
    sampler._run()
    assert waits == [1, 1, 2, 2, 4, 4, 8]


def test_sampling_the_host_costs_little() -> None:
    meter = HostMeter()
    meter.sample(0.0)
    began = time.thread_time()
    for n in range(20):
        meter.sample(float(n))
    per_sample_s = (time.thread_time() - began) / 20
    assert per_sample_s < 0.01 * sampler_module.PERIOD_S  # under 1 % of one core

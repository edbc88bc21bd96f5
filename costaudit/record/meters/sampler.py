"""Samples meters in the background while probes run, and hands the rows on.

Bounded: after each `_TICKS_PER_PERIOD` ticks the period doubles, so that the rows of a run grow
with the logarithm of its length. The callback runs in the sampler's thread, so it must be safe to
call from there (a queue's `put`, or a recording that takes turns).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from costaudit.ground.errors import CostauditError
from costaudit.recording.rows import Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from costaudit.record.meters.meter import Meter

PERIOD_S = 0.25
_TICKS_PER_PERIOD = 2400  # ten minutes at the first period


class Sampler:
    """A thread that reads `meters` every `period_s`; start and stop it as a context manager.

    `on_rows` gets the gauges of one tick, and once per instrument that was lost the row that says
    so. `clock_s` stamps them (seconds since the recording began).
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        on_rows: Callable[[Sequence[Gauge | Instrument]], None],
        clock_s: Callable[[], float],
        period_s: float = PERIOD_S,
    ) -> None:
        self._meters = meters
        self._on_rows = on_rows
        self._clock_s = clock_s
        self._period_s = period_s
        self._lost: set[str] = set()
        self._error: CostauditError | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="costaudit-sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        if self._error is not None and value is None:
            raise self._error

    def _run(self) -> None:
        period_s, ticks = self._period_s, 0
        while not self._stopped.wait(period_s):
            try:
                self._tick()
            except CostauditError as err:  # the rows cannot be kept: tell whoever stops us
                self._error = err
                return
            ticks += 1
            if ticks % _TICKS_PER_PERIOD == 0:
                period_s *= 2

    def _tick(self) -> None:
        rows: list[Gauge | Instrument] = []
        for meter in self._meters:
            rows += meter.sample(self._clock_s())
            for state in meter.instruments():
                if state.state is State.LOST and state.meter not in self._lost:
                    self._lost.add(state.meter)
                    rows.append(state)
        if rows:
            self._on_rows(rows)

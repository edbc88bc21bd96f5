"""DCGM's DRAM activity of one GPU, read off a dcgm-exporter beside it: tier T1'.

DRAM_ACTIVE is the share of cycles in which the memory's interface moved data, a mean over the
exporter's collection interval; in practice it ends near 0.8 to 0.95, not at 1. The page carries no
times, so a value is dated by when it was first seen. An exporter collects every 30 s unless told
otherwise: a span of a phase sees whole intervals only when it is told to collect every second.
Source: DCGM's field 1005, and dcgm-exporter's --collect-interval.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.record.meters.exporter_page import PageAddress, PageError, fetch, page_address
from costaudit.record.meters.prometheus_text import Series, read_exposition
from costaudit.recording.rows import Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

METER = "dcgm"
TIER = "T1'"
URL_VARIABLE = "COSTAUDIT_DCGM_URL"
DEFAULT_URL = "http://localhost:9400/metrics"
OFF = "off"
LONGEST_SPAN_S = 6.0  # sees four collections, as `between` needs, of an exporter that has one a s
DRAM = "dram_active_share"
# Field by its names in the exporter: until DCGM 4.5, and since.
_FIELDS = {
    DRAM: ("DCGM_FI_PROF_DRAM_ACTIVE", "DCGM_FI_PROF_DRAM_UTIL_RATIO"),
    "sm_active_share": ("DCGM_FI_PROF_SM_ACTIVE", "DCGM_FI_PROF_SM_UTIL_RATIO"),
    "tensor_active_share": ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_PROF_TENSOR_UTIL_RATIO"),
}
_NAMES = {name: field for field, names in _FIELDS.items() for name in names}
_FAILURES_IN_A_ROW = 3  # a busy exporter may be late once
_KEPT = 4096  # changes of the value


@dataclass(frozen=True, slots=True, kw_only=True)
class DcgmReading:
    """Mean DRAM activity over the `seconds` of a span that whole collections cover.

    `dram_share` is None where they cover none of it; `why` tells why.
    """

    dram_share: float | None = None
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A value that was new on the page at `seen_s`; at `not_before_s` the one before stood there.

    Seconds of the meter's clock.
    """

    not_before_s: float
    seen_s: float
    value: float


def dcgm_url() -> str | None:
    """The exporter's page: COSTAUDIT_DCGM_URL, or the exporter's own default; None for "off"."""
    url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
    return None if url == OFF else url


class DcgmMeter:
    """One GPU by its UUID, as NVML writes it; `state` says whether it can be read.

    `sample` may run in another thread than `between`.
    """

    def __init__(
        self, uuid: str | None, url: str | None, *, clock_s: Callable[[], float] = time.perf_counter
    ) -> None:
        self._uuid = uuid or ""
        self._clock_s = clock_s
        self._changes: deque[_Change] = deque(maxlen=_KEPT)
        self._asked_s = -math.inf
        self._failures = 0
        self._lock = threading.Lock()
        self._address: PageAddress | None = None
        self.state = self._tried(url)

    def sample(self, t_s: float) -> list[Gauge]:
        """The exporter's latest values of this GPU, each a share of its last interval."""
        if self.state.state is not State.OK or self._address is None:
            return []
        try:
            values = self._read(self._address)
        except PageError as err:
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                self.state = _state(State.LOST, str(err))
            return []
        self._failures = 0
        return [
            Gauge(t_s=t_s, meter=METER, name=name, value=value, unit="share")
            for name, value in values.items()
        ]

    def instruments(self) -> list[Instrument]:
        """The state of this meter."""
        return [self.state]

    def close(self) -> None:
        """Nothing is held open between two samples."""

    def between(self, began_s: float, ended_s: float) -> DcgmReading:
        """The mean over all collections that lie wholly within two times of the meter's clock.

        A value stands for the time since the change before it. Older exporters hold a page back
        for one more interval, so that one too must lie behind `began_s`.
        """
        with self._lock:
            changes = list(self._changes)
        held = [
            (new.seen_s - before.seen_s, new.value)
            for first, before, new in zip(changes, changes[1:], changes[2:], strict=False)
            if first.not_before_s >= began_s and new.seen_s <= ended_s
        ]
        seconds = math.fsum(s for s, _ in held)
        if seconds > 0:
            mean = math.fsum(s * value for s, value in held) / seconds
            return DcgmReading(dram_share=mean, seconds=seconds)
        if self.state.state is not State.OK:
            return DcgmReading(why=self.state.why)
        seen = sum(began_s <= change.seen_s <= ended_s for change in changes)
        return DcgmReading(
            why=f"DCGM's value changed {seen} times within {ended_s - began_s:.1f} s, too seldom: "
            "start dcgm-exporter with --collect-interval 1000 (its default is 30000 ms)"
        )

    def _tried(self, url: str | None) -> Instrument:
        if url is None:
            return _state(State.OFF, f"switched off by {URL_VARIABLE}")
        if not self._uuid:
            return _state(State.ABSENT, "the driver does not tell the UUID to look for")
        try:
            self._address = page_address(url)
            self._read(self._address)
        except PageError as err:
            return _state(State.REFUSED if err.refused else State.ABSENT, str(err))
        why = f"DRAM_ACTIVE from {self._address.shown}: share of cycles in which data moved"
        return _state(State.OK, why)

    def _read(self, address: PageAddress) -> dict[str, float]:
        asked_s = self._clock_s()
        values = _of_gpu(_series(fetch(address)), self._uuid)
        seen_s, value = self._clock_s(), values[DRAM]
        with self._lock:
            if not self._changes or self._changes[-1].value != value:
                change = _Change(not_before_s=self._asked_s, seen_s=seen_s, value=value)
                self._changes.append(change)
        self._asked_s = asked_s
        return values


def _state(state: State, why: str) -> Instrument:
    return Instrument(meter=METER, state=state, tier=TIER, why=why)


def _series(page: str) -> tuple[Series, ...]:
    """Our fields of all GPUs on a page.

    Raises:
        PageError: it has no DRAM activity.
    """
    found = read_exposition(page, keep=_NAMES.__contains__).series
    if not any(_NAMES[one.name] == DRAM for one in found):
        raise PageError(
            "the page has no DRAM_ACTIVE: the exporter's list of counters leaves it out, "
            "or it runs without the capability SYS_ADMIN"
        )
    return found


def _of_gpu(series: Sequence[Series], uuid: str) -> dict[str, float]:
    """The known fields of one GPU.

    Raises:
        PageError: the page has no DRAM activity of it, a blank one, or one per MIG instance.
    """
    mine = [one for one in series if one.labels.get("UUID", one.labels.get("uuid")) == uuid]
    if not any(_NAMES[one.name] == DRAM for one in mine):
        raise PageError(f"the page knows other GPUs, not {uuid}")
    if any(one.labels.get("GPU_I_ID") for one in mine):
        raise PageError(f"the page shows {uuid} by its MIG instances, not as one device")
    found = {_NAMES[one.name]: one.value for one in mine if 0 <= one.value <= 1}
    if DRAM not in found:
        why = f"DRAM_ACTIVE of {uuid} is blank: profiling is paused or not permitted"
        raise PageError(why, refused=True)
    return found

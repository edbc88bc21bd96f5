"""The server's own metrics, scraped once a second at most, as canonical quantities.

Counters are kept as raw totals; a histogram or summary as `NAME.sum` and `NAME.count`, and the few
latencies that `metric_sums` names also as `NAME.le.EDGE` (cumulative counts). A total that did not
move since the last scrape is not written again. `measure.server` reads them.
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from costaudit.facts.metric_map import metric_names, spelled, stem
from costaudit.ground.errors import CostauditError
from costaudit.record.meters.json_loads import READERS
from costaudit.record.meters.metric_sums import summed
from costaudit.record.meters.prometheus_text import family, read_exposition
from costaudit.record.servers.fetch import Reply, fetch
from costaudit.recording.rows import Gauge, Instrument, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.facts.quantities import Quantity
    from costaudit.record.servers.found import MetricsSource

METER = "server"
PERIOD_S = 1.0
TIMEOUT_S = 2.0
SCRAPE_S = "scrape"  # how long the scrape took
_FAILURES_IN_A_ROW = 5  # a server under load may be late
_REFUSED = {401, 403}


def open_server_metrics(source: MetricsSource | None) -> ServerMetrics | Instrument:
    """The open meter, or its state where there is nothing to read. Never raises."""
    if source is None:
        return _state(State.ABSENT, "the server exports no metrics that costaudit can read")
    meter = ServerMetrics(source)
    meter.try_once()
    if (state := meter.instruments()[0]).state is not State.OK:
        return state
    if not meter.found:
        return _state(State.ABSENT, f"nothing that costaudit knows at {source.url}")
    return meter


class ServerMetrics:
    """A scraper of one page. `sample` may be called more often: it reads once a second."""

    def __init__(self, source: MetricsSource) -> None:
        self._source = source
        self._names = metric_names(*source.servers, version=source.version)
        self._wanted = cache(self._wants)  # a page has the same names every second
        self._state = _state(State.OK, f"scraped at {source.url}")
        self._failures = 0
        self._read_s = float("-inf")
        self._asked_s = float("-inf")
        self._last: dict[str, Quantity] = {}
        self._written: dict[str, Quantity] = {}

    @property
    def found(self) -> int:
        """How many quantities the last page had."""
        return len(self._last)

    def sample(self, t_s: float) -> tuple[Gauge, ...]:
        """What the page says now, stamped when it had been read."""
        if self._state.state is not State.OK or t_s - self._read_s < PERIOD_S * 0.9:
            return ()
        self._read_s = t_s
        began = time.monotonic()
        try:
            reply = fetch(
                self._source.url,
                headers=self._source.headers,
                verify_tls=self._source.verify_tls,
                timeout_s=TIMEOUT_S,
            )
        except CostauditError as err:
            return self._failed(err.message)
        if not reply.ok:
            return self._failed(_why(reply), refused=reply.status in _REFUSED)
        self._failures = 0
        took_s = time.monotonic() - began
        rows = self._rows(self._quantities(reply), t_s + took_s, took_s)
        self._asked_s = t_s
        return rows

    def try_once(self) -> None:
        """Read the page to see what is there; nothing of it counts as written."""
        self.sample(0.0)
        self._read_s = self._asked_s = float("-inf")
        self._written = {}

    def last(self, name: str) -> float | None:
        """The quantity's latest value; None where the page has none."""
        found = self._last.get(name)
        return None if found is None else found.value

    def asked_s(self) -> float:
        """When the latest page that came was asked for, in seconds of the recording."""
        return self._asked_s

    def instruments(self) -> tuple[Instrument, ...]:
        """The state of the scraping."""
        return (self._state,)

    def close(self) -> None:
        """Nothing is held open between two scrapes."""

    def _quantities(self, reply: Reply) -> Mapping[str, Quantity]:
        if self._source.format != "prometheus":
            return READERS[self._source.format](reply.json())
        page = read_exposition(reply.text(), keep=self._wanted)
        return summed(page.series, self._names, self._source.labels)

    def _wants(self, name: str) -> bool:
        name = spelled(name)
        return stem(name) in self._names or stem(family(name)) in self._names

    def _rows(self, now: Mapping[str, Quantity], t_s: float, took_s: float) -> tuple[Gauge, ...]:
        moved = {
            name: one
            for name, one in now.items()
            if not one.total or self._written.get(name) != one
        }
        self._last = self._written = dict(now)
        rows = [
            Gauge(t_s=t_s, meter=METER, name=name, value=one.value, unit=one.unit)
            for name, one in moved.items()
        ]
        rows.append(Gauge(t_s=t_s, meter=METER, name=SCRAPE_S, value=took_s, unit="s"))
        return tuple(rows)

    def _failed(self, why: str, *, refused: bool = False) -> tuple[Gauge, ...]:
        self._failures += 1
        if refused:
            self._state = _state(State.REFUSED, why)
        elif not self._last:
            self._state = _state(State.ABSENT, why)
        elif self._failures >= _FAILURES_IN_A_ROW:
            self._state = _state(State.LOST, why)
        return ()


def _why(reply: Reply) -> str:
    if not reply.whole:
        return f"the page at {reply.url} is longer than can be read"
    return f"{reply.url} answers with HTTP {reply.status}"


def _state(state: State, why: str) -> Instrument:
    return Instrument(meter=METER, state=state, why=why)

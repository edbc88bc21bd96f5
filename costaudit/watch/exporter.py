"""Our own metrics for a Prometheus: the latest frame, asked for at each scrape.

What is unknown is not exported: an absent series is no zero.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from costaudit.diagnosis.load import load
from costaudit.diagnosis.symptom import Confidence
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

    from costaudit.diagnosis.diagnosis import Diagnosis, Facts
    from costaudit.watch.frame import Frame

DEFAULT_PORT = 9464
_MOST_PORT = 65_535
_Values = list[tuple[tuple[str, ...], float]]


class Exporter:
    """Holds the latest frame for whoever scrapes."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._lock = threading.Lock()

    def show(self, frame: Frame) -> None:
        """From now on this frame is exported."""
        with self._lock:
            self._frame = frame

    def collect(self) -> Iterator[Metric]:
        """The metrics of the frame, as prometheus-client asks for them."""
        with self._lock:
            frame = self._frame
        if frame is None:
            return
        yield from _of_watch(frame)
        if frame.diagnosis is not None and not frame.lost:
            yield from _of_cost(frame)
            yield from _of_facts(frame.diagnosis.facts)
            yield from _of_symptoms(frame.diagnosis)


@contextmanager
def exporting(address: str | None) -> Iterator[Exporter]:
    """An exporter that answers at `address` ([HOST]:PORT; None: nowhere) while the context lasts.

    Raises:
        UsageError: it is no address, or it cannot be listened on.
    """
    exporter = Exporter()
    if address is None:
        yield exporter
        return
    host, port = host_and_port(address)
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, addr=host, registry=registry_of(exporter))
    except OSError as err:
        raise UsageError(
            f"cannot export at {address}: {err.strerror}", hint="another --export :PORT"
        ) from err
    try:
        yield exporter
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=1)


def registry_of(exporter: Exporter) -> CollectorRegistry:
    """A registry that holds our metrics alone, none of this process."""
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(exporter)
    return registry


def host_and_port(address: str) -> tuple[str, int]:
    """Of `:9464`, `9464`, `127.0.0.1:9464` or `[::1]:9464`; without a host all interfaces.

    Raises:
        UsageError: it is none of these.
    """
    host, _, port = address.strip().rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= _MOST_PORT:
        raise UsageError(f"{address!r} is no address to export at", hint=f":{DEFAULT_PORT}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what ":PORT" means


def _of_watch(frame: Frame) -> Iterator[Metric]:
    yield _gauge("up", "Whether the last reading of the server succeeded.", float(not frame.lost))
    yield _counter("scrapes", "Readings of the server, failed ones included.", frame.scrapes)
    yield _counter("scrape_failures", "Readings of the server that failed.", frame.failures)
    moved: _Values = [((way,), float(count)) for way, count in frame.drifts.items()]
    yield _many("cost_drifts", "Drifts of the cost per token.", ("direction",), moved, total=True)


def _of_cost(frame: Frame) -> Iterator[Metric]:
    found = frame.diagnosis
    assert found is not None  # noqa: S101 - the caller asked
    window = found.window
    about = (window.engine, window.version, window.model, frame.url)
    names = ("engine", "version", "model", "url")
    yield _many("target_info", "The server that is watched.", names, [(about, 1.0)])
    kinds: _Values = [
        ((kind,), usd)
        for kind, usd in (
            ("all", found.facts.usd_per_1m_tokens),
            ("generated", found.facts.usd_per_1m_generated),
        )
        if usd is not None
    ]
    words = "Price of the devices over a million tokens: all, or the generated ones."
    yield _many("usd_per_1m_tokens", words, ("tokens",), kinds)
    words = "Device-seconds paid for over a million prompt and generated tokens."
    yield _gauge("device_seconds_per_1m_tokens", words, frame.device_s_per_1m)
    words = "Cost of the last block of time over the level before."
    costs = [cost for cost in frame.costs if cost is not None]
    yield _gauge(
        "cost_drift_ratio", words, costs[-1] / frame.level if costs and frame.level else None
    )
    shares: _Values = [((name,), share) for name, share in frame.slices.items()]
    yield _many(
        "slice_ratio", "Share of the device's time, by what it went to.", ("slice",), shares
    )


def _of_facts(facts: Facts) -> Iterator[Metric]:
    tokens = {"prompt": facts.prompt_tokens_per_s, "generated": facts.generated_tokens_per_s}
    yield _by("tokens_per_second", "Tokens per second.", "kind", tokens)
    yield _gauge("requests_per_second", "Finished requests per second.", facts.requests_per_s)
    yield _gauge("batch_requests", "Mean requests in the batch while not empty.", facts.batch_mean)
    yield _gauge("batch_slots", "Most requests that the batch takes.", facts.batch_slots)
    yield _gauge("busy_ratio", "Share of readings with requests in the batch.", facts.busy_share)
    waiting = None if facts.waiting is None else facts.waiting.mean
    yield _gauge("waiting_requests", "Mean requests in the queue.", waiting)
    kv = facts.kv_usage
    usage = {} if kv is None else {"mean": kv.mean, "max": kv.high}
    yield _by("kv_usage_ratio", "Share of the KV cache in use.", "stat", usage)
    yield _gauge("window_preemptions", "Preempted requests in the window.", facts.preemptions)
    words = "Share of looked-up prompt tokens found in the prefix cache."
    yield _gauge("prefix_hit_ratio", words, facts.prefix_hit_share)
    means = {"ttft": facts.ttft_s, "itl": facts.itl_s, "e2e": facts.e2e_s}
    yield _by("latency_mean_seconds", "Mean latency in the window.", "kind", means)


def _of_symptoms(found: Diagnosis) -> Iterator[Metric]:
    """1 where a symptom shows, 0 where it does not; no series where it cannot be told.

    A half where it is no more than possible, or no fault: nobody is to be woken for it.
    """
    shown = {one.id: one.cost_share for one in found.findings}
    weak = {f.id for f in found.findings if f.confidence is Confidence.POSSIBLE or not f.fault}
    told = [one.id for one in load() if one.id in shown or one.id in found.absent]
    states: _Values = [((n,), 0.5 if n in weak else float(n in shown)) for n in told]
    yield _many("symptom", "Whether a symptom shows.", ("symptom",), states)
    costs: _Values = [((name,), share) for name, share in shown.items()]
    words = "Share of requests' time or of capacity that a symptom costs."
    yield _many("symptom_cost_ratio", words, ("symptom",), costs)


def _gauge(name: str, words: str, value: float | None) -> Metric:
    return _many(name, words, (), [] if value is None else [((), value)])


def _counter(name: str, words: str, value: float) -> Metric:
    return _many(name, words, (), [((), value)], total=True)


def _by(name: str, words: str, label: str, values: Mapping[str, float | None]) -> Metric:
    rows: _Values = [((key,), value) for key, value in values.items() if value is not None]
    return _many(name, words, (label,), rows)


def _many(
    name: str, words: str, labels: tuple[str, ...], rows: _Values, *, total: bool = False
) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    family = CounterMetricFamily if total else GaugeMetricFamily
    metric = family(f"costaudit_{name}", words, labels=labels)
    for key, value in rows:
        metric.add_metric(list(key), value)
    return metric

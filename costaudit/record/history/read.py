"""Asks a Prometheus for a window of a fleet's past and puts the answers together by replica."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.facts.metric_map import metric_names
from costaudit.facts.metric_prefixes import METRIC_PREFIXES, prefixes_of
from costaudit.ground.errors import TargetError
from costaudit.record.history.asks import (
    TAG,
    Ask,
    Span,
    Stat,
    names_like,
    of_instances,
    questions,
    selected,
)
from costaudit.record.history.collect import Told, replicas, unsteady
from costaudit.record.history.gpus import read_gpus
from costaudit.record.history.past import Past
from costaudit.record.history.wanted import asks_of, labels_apart, while_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from costaudit.record.history.collect import Answer
    from costaudit.record.history.prometheus import Prometheus, Row

FEW = 100  # instances in a selector; more, and all are asked
TOGETHER = 2  # questions at once: a Prometheus serves others too
INFO = "vllm:cache_config_info"
_NO_METRICS = (
    "does it scrape the servers' /metrics? names like vllm:num_requests_running should be there; "
    "a --selector may leave out all of them"
)


def read_past(
    prometheus: Prometheus,
    span: Span,
    *,
    at_s: float | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Past:
    """The `span.seconds` until `at_s` (Unix seconds; None: now) of all servers selected.

    Raises:
        TargetError: the Prometheus does not answer, or knows no LLM server in this window.
    """
    end_s = time.time() if at_s is None else at_s
    reader = _Reader(prometheus, span, end_s, progress)
    names = [name for name in reader.names() if not name.endswith("_created")]
    known = metric_names(*(s for prefix in prefixes_of(names) for s in prefix.servers))
    asks = list(asks_of(names, known))
    if not asks:
        where = f"no metrics of an LLM server in the last {span.seconds} s at {prometheus.url}"
        raise TargetError(where, hint=_NO_METRICS)
    apart = labels_apart(known)
    told = Told(answers=reader.told(asks, apart))
    told.answers += _in_parts(reader, told.answers, asks, apart)
    told.while_waiting = reader.told(while_waiting(told.answers, asks, known), apart)
    if INFO in names:
        told.config = reader.instant(selected(INFO, span))
    return Past(
        seconds=span.seconds,
        at_s=end_s,
        replicas=replicas(told, span),
        gpus=read_gpus(reader.instant, reader.gpu_names(), span),
        asked=reader.asked,
    )


def _in_parts(
    reader: _Reader, answers: Sequence[Answer], asks: Iterable[Ask], apart: Sequence[str]
) -> list[Answer]:
    """Growth of the replicas for which the difference of two instants is not their growth."""
    places = unsteady(answers)
    again = [replace(ask, stat=Stat.GROWN_IN_PARTS) for ask in asks if ask.stat is Stat.GROWN]
    instances = {place.instance for place in places}
    few = places and "" not in instances and len(instances) <= FEW
    return reader.told(again if places else (), apart, instances if few else ())


class _Reader:
    """Asks and counts."""

    def __init__(
        self,
        prometheus: Prometheus,
        span: Span,
        at_s: float,
        progress: Callable[[str], None],
    ) -> None:
        self._prometheus = prometheus
        self._span = span
        self._at_s = at_s
        self._progress = progress
        self.asked = 0

    def names(self) -> list[str]:
        """Names of all metrics of LLM servers in the window."""
        beginnings = [prefix.begins for prefix in METRIC_PREFIXES]
        return self._names(beginnings)

    def gpu_names(self) -> list[str]:
        """Names of DCGM's metrics; the user's labels of servers do not select these."""
        return self._names(["DCGM_FI_"], replace(self._span, matchers=""))

    def _names(self, beginnings: list[str], span: Span | None = None) -> list[str]:
        self.asked += 1
        selector = names_like(beginnings, span or self._span)
        from_s = self._at_s - self._span.seconds
        return self._prometheus.names([selector], from_s=from_s, to_s=self._at_s)

    def instant(self, expression: str) -> list[Row]:
        """One question."""
        self.asked += 1
        return self._prometheus.instant(expression, at_s=self._at_s)

    def told(
        self, asks: Sequence[Ask], apart: Sequence[str], instances: Iterable[str] = ()
    ) -> list[Answer]:
        """The answers to all asks, one for each series; of these `instances` only, if any."""
        found: list[Answer] = []
        texts = list(questions(asks, of_instances(self._span, instances), apart))
        with ThreadPoolExecutor(max_workers=TOGETHER) as pool:
            for place, rows in enumerate(pool.map(self.instant, texts), start=1):
                self._progress(f"{place} of {len(texts)} questions answered")
                for row in rows:
                    tag = row.labels.get(TAG, "")
                    if tag.isdecimal() and int(tag) < len(asks):
                        found.append((asks[int(tag)], row))
        return found

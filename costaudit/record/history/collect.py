"""Answers by series → replicas with their quantities, by the same map as a page's."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.facts.metric_map import metric_names
from costaudit.facts.metric_prefixes import prefixes_of
from costaudit.record.history.asks import MODEL, TAG, WHERE, Ask, Span, Stat
from costaudit.record.history.past import Place, Replica
from costaudit.record.meters.metric_sums import summed
from costaudit.record.meters.prometheus_text import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.facts.quantities import Quantity
    from costaudit.record.history.prometheus import Row

Answer = tuple[Ask, "Row"]
_Key = tuple[Place, str]
_OURS = {TAG, *WHERE, *MODEL}


@dataclass(slots=True)
class Told:
    """All answers: to the asks, to those while requests waited, and the info metric's series."""

    answers: list[Answer] = field(default_factory=list)
    while_waiting: list[Answer] = field(default_factory=list)
    config: Sequence[Row] = ()


def replicas(told: Told, span: Span) -> tuple[Replica, ...]:
    """The replicas in the answers, by place and model."""
    by_key = _by_replica(told.answers)
    waiting = _by_replica(told.while_waiting)
    config = {_key(row.labels): row.labels for row in told.config}
    return tuple(
        _replica(
            key,
            answers,
            waiting.get(key, []),
            config.get(key) or config.get((key[0], ""), {}),
            span,
        )
        for key, answers in sorted(by_key.items(), key=lambda item: _order(item[0]))
    )


def unsteady(answers: Iterable[Answer]) -> list[Place]:
    """Replicas that restarted, or were not there at both ends of the window."""
    found = _by_replica(answers).items()
    return sorted({key[0] for key, told in found if _is_unsteady(told)}, key=lambda p: p.name)


def _is_unsteady(answers: Sequence[Answer]) -> bool:
    stats = {ask.stat for ask, _ in answers}
    throughout = Stat.GROWN in stats and Stat.AT_START in stats
    return not throughout or _restarts(answers) > 0


def place_of(labels: Mapping[str, str]) -> Place:
    """Where a series is from."""
    return Place(**{name: labels.get(name, "") for name in WHERE})


def _by_replica(answers: Iterable[Answer]) -> dict[_Key, list[Answer]]:
    """A series without a model is its server's, hence the only model's of that server."""
    found: dict[_Key, list[Answer]] = defaultdict(list)
    for ask, row in answers:
        found[_key(row.labels)].append((ask, row))
    models = defaultdict(list)
    for place, model in found:
        if model:
            models[place].append(model)
    for place, model in [key for key in found if not key[1]]:
        if len(models[place]) == 1:
            found[place, models[place][0]] += found.pop((place, model))
    return found


def _key(labels: Mapping[str, str]) -> _Key:
    return place_of(labels), next((labels[name] for name in MODEL if labels.get(name)), "")


def _order(key: _Key) -> tuple[str, ...]:
    place, model = key
    return (model, place.cluster, place.namespace, place.name)


def _replica(
    key: _Key,
    answers: Sequence[Answer],
    waiting: Sequence[Answer],
    config: Mapping[str, str],
    span: Span,
) -> Replica:
    prefixes = prefixes_of({ask.name for ask, _ in answers})
    servers = tuple(dict.fromkeys(server for prefix in prefixes for server in prefix.servers))
    by_stat = _summed(answers, servers)
    there = by_stat.pop(Stat.PRESENT, {})
    counted = max((int(one.value) for one in there.values()), default=0)
    whole = {**by_stat.pop(Stat.GROWN, {}), **by_stat.pop(Stat.EDGES, {})}
    grown = by_stat.pop(Stat.GROWN_IN_PARTS, {}) if _is_unsteady(answers) else whole
    return Replica(
        place=key[0],
        model=key[1],
        engine=prefixes[0].engine if prefixes else "",
        servers=servers,
        present_s=min(float(span.seconds), float(counted * span.step_s)),
        grown=grown,
        levels=by_stat,
        while_waiting=_summed(waiting, servers),
        samples=counted,
        config=config,
        restarts=_restarts(answers),
    )


def _summed(
    answers: Iterable[Answer], servers: Sequence[str]
) -> dict[Stat, Mapping[str, Quantity]]:
    """Each statistic's series as if they were a page's."""
    pages: dict[Stat, list[Series]] = defaultdict(list)
    for ask, row in answers:
        if ask.stat not in {Stat.RESTARTS, Stat.AT_START}:
            labels = {name: text for name, text in row.labels.items() if name not in _OURS}
            pages[ask.stat].append(Series(name=ask.name, labels=labels, value=row.value))
    names = metric_names(*servers)
    return {stat: summed(series, names, {}, detailed=True) for stat, series in pages.items()}


def _restarts(answers: Iterable[Answer]) -> int:
    return max((int(row.value) for ask, row in answers if ask.stat is Stat.RESTARTS), default=0)

"""A replica's past as a window: what is diagnosed live is diagnosed from history alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.facts.server_defaults import server_defaults
from costaudit.measure.window import RUNNING, WAITING, WHILE_WAITING, Levels, Window, spreads_of
from costaudit.record.history.asks import Stat
from costaudit.record.servers.discovery import given_knobs
from costaudit.record.servers.engines.vllm import settings_of_labels
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.facts.quantities import Quantity
    from costaudit.record.history.past import Replica
    from costaudit.record.servers.found import Given


def window_of_replica(replica: Replica, given: Given) -> Window:
    """The window of its past. Levels are those of all its samples, growth knows of restarts."""
    gauges, ranks = _levels(replica.levels, replica.samples)
    held = _while_waiting(replica, gauges)
    counters, histograms = spreads_of(_growth(replica))
    return Window(
        seconds=replica.present_s,
        scrapes=replica.samples,
        engine=replica.engine,
        model=replica.model,
        gauges={**gauges, **{f"{name}{WHILE_WAITING}": found for name, found in held.items()}},
        counters={name: value for name, value in counters.items() if "@" not in name},
        histograms=histograms,
        ranks={name: by for name, by in ranks.items() if len(by) > 1},
        natives=_natives(replica),
        knobs=_knobs(replica, given),
        restarts=replica.restarts,
    )


def _while_waiting(replica: Replica, gauges: Mapping[str, Levels]) -> dict[str, Levels]:
    """Levels while requests waited: one mean is asked, the highest is no more than ever."""
    waiting = gauges.get(WAITING)
    share = waiting.above_zero_share if waiting is not None else 0.0
    held, _ = _levels(replica.while_waiting, max(1, round(share * replica.samples)))
    if all(name in gauges and gauges[name].low > 0 for name in (WAITING, RUNNING)):
        return {name: gauges[name] for name in held if name in gauges}
    return {
        name: replace(
            found, high=max(found.high, gauges[name].high) if name in gauges else found.high
        )
        for name, found in held.items()
    }


def _growth(replica: Replica) -> dict[str, float]:
    """Growth of all totals; buckets, which were asked otherwise, scaled to their histogram's."""
    growth = {name: one.value for name, one in replica.grown.items()}
    for name in [name for name in growth if ".le." in name]:
        base = name.partition(".le.")[0]
        whole, counted = growth.get(f"{base}.le.+Inf"), growth.get(f"{base}.count")
        if name != f"{base}.le.+Inf" and whole and counted is not None:
            growth[name] *= counted / whole
    for name in [name for name in growth if name.endswith(".le.+Inf")]:
        growth[name] = growth.get(f"{name.removesuffix('.le.+Inf')}.count", growth[name])
    return growth


def _levels(
    stats: Mapping[Stat, Mapping[str, Quantity]], samples: int
) -> tuple[dict[str, Levels], dict[str, dict[str, Levels]]]:
    """Gauges, and those told apart by rank."""
    gauges: dict[str, Levels] = {}
    ranks: dict[str, dict[str, Levels]] = {}
    for name in dict.fromkeys(name for page in stats.values() for name in page):
        told = {stat: page[name].value for stat, page in stats.items() if name in page}
        found = _level(told, samples)
        base, at, rank = name.partition("@")
        if at:
            ranks.setdefault(base, {})[rank] = found
        else:
            gauges[name] = found
    return gauges, ranks


def _level(told: Mapping[Stat, float], samples: int) -> Levels:
    """A gauge of which only the last value was asked stood still for what is known."""
    last = told.get(Stat.LAST, told.get(Stat.MEAN, next(iter(told.values()))))
    mean = told.get(Stat.MEAN, last)
    low, high = told.get(Stat.LOW, last), told.get(Stat.HIGH, last)
    positive = 1.0 if low > 0 else 0.0 if high <= 0 else 0.5  # between: not asked
    return Levels(
        low=low,
        mean=mean,
        usual=told.get(Stat.USUAL, mean),
        high=high,
        last=last,
        above_zero_share=min(1.0, told.get(Stat.ABOVE_ZERO, positive)),
        samples=samples,
    )


def _natives(replica: Replica) -> dict[str, str]:
    pages = (replica.grown, *replica.levels.values())
    return {name: one.native for page in pages for name, one in page.items() if one.native}


def _knobs(replica: Replica, given: Given) -> dict[str, Value]:
    """Given by the user, else told by the server's info metric, else defaults of the newest."""
    knobs = {
        default.knob: Value(value=default.value, origin=Origin.DEFAULT, why=default.why)
        for default in server_defaults(replica.engine)
        if default.value is not None
    }
    if replica.engine == "vllm":
        knobs |= settings_of_labels(replica.config)
    return knobs | given_knobs(given)

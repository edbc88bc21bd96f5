"""The mixes worth comparing, out of the ways that have a price here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.pricing.cover import token_usd
from costaudit.pricing.way import Committed, Hourly, Mix, PerToken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.pricing.cover import Rows
    from costaudit.pricing.way import Offers


def mixes(offers: Offers, rows: Rows) -> tuple[Mix, ...]:
    """Each way by itself, each commitment with what covers the rest, and the peak paid for.

    The overflow goes to the API that would be the cheapest for this load.
    """
    hourly = sorted(
        (way for way in offers.ways if isinstance(way, Hourly)),
        key=lambda way: way.usd_per_replica_h,
    )
    apis = [way for way in offers.ways if isinstance(way, PerToken)]
    waiting = [way for way in apis if not way.patient]
    cheapest = min(waiting, key=lambda way: float(token_usd(rows, way).sum()), default=None)
    found = [*_uncommitted(tuple(hourly), cheapest), *(_api(way) for way in apis)]
    for way in offers.ways:
        if isinstance(way, Committed):
            found += _committed(way, tuple(hourly), cheapest)
    return tuple(found)


def _uncommitted(hourly: tuple[Hourly, ...], api: PerToken | None) -> Iterator[Mix]:
    steady = [way for way in hourly if way.fleet_share >= 1]
    if not steady:
        return
    way = steady[0]
    fixed = Committed(
        id=way.id, title=way.title, usd_per_replica_h=way.usd_per_replica_h, term_h=0.0
    )
    yield Mix(
        id=f"{way.id}-peak",
        title=f"{way.title}, fixed at the peak",
        committed=fixed,
        hourly=(way,),
        at_peak=True,
    )
    yield Mix(id=way.id, title=f"{way.title}, by the hour", hourly=(way,))
    if useful := _filled(hourly):
        yield Mix(id=_ids(useful), title=_titles(useful), hourly=useful)
    if api is not None:
        yield Mix(
            id=f"{way.id}+{api.id}", title=f"{way.title} + {api.title}", hourly=(way,), overflow=api
        )


def _filled(hourly: tuple[Hourly, ...]) -> tuple[Hourly, ...]:
    """The ways up to the first that has no limit, where a limited one comes before it; else ()."""
    taken: list[Hourly] = []
    for way in hourly:
        taken.append(way)
        if way.fleet_share >= 1:
            return tuple(taken) if len(taken) > 1 else ()
    return ()


def _api(way: PerToken) -> Mix:
    return Mix(id=way.id, title=way.title, overflow=way)


def _committed(way: Committed, hourly: tuple[Hourly, ...], api: PerToken | None) -> Iterator[Mix]:
    steady = tuple(other for other in hourly if other.fleet_share >= 1)[:1]
    yield Mix(
        id=f"{way.id}-peak",
        title=f"{way.title}, the peak paid for",
        committed=way,
        hourly=steady,
        at_peak=True,
    )
    rests = [rest for rest in (steady, _filled(hourly)) if rest]
    for rest in rests:
        yield Mix(
            id=f"{way.id}+{_ids(rest)}",
            title=f"{way.title} + {_titles(rest)}",
            committed=way,
            hourly=rest,
        )
    if api is None:
        return
    for rest in [(), *rests[:1]]:
        names = (way.id, *(other.id for other in rest), api.id)
        titles = (way.title, *(other.title for other in rest), api.title)
        yield Mix(
            id="+".join(names),
            title=" + ".join(titles),
            committed=way,
            hourly=rest,
            overflow=api,
        )


def _ids(ways: tuple[Hourly, ...]) -> str:
    return "+".join(way.id for way in ways)


def _titles(ways: tuple[Hourly, ...]) -> str:
    return " + ".join(way.title for way in ways)

"""Run one rung: put a load on a server once and hand over each answer as it was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError
from costaudit.record.client.address import proxy_of, read_url
from costaudit.record.client.answers import Desk
from costaudit.record.client.exchange import Exchange
from costaudit.record.client.faults import Http2OnlyError, of_connection
from costaudit.record.client.loop import Loop
from costaudit.record.client.pace import Pace
from costaudit.record.client.quiet import undisturbed
from costaudit.record.client.route import find_route

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.record.client.address import Site
    from costaudit.record.client.load import Endpoint, Rung, RungEnd
    from costaudit.record.client.route import Route
    from costaudit.record.dialects.dialect import Dialect
    from costaudit.recording.rows import Answer


def never() -> str:
    """Nothing stops the rung."""
    return ""


def run_rung(
    endpoint: Endpoint,
    dialect: Dialect,
    rung: Rung,
    *,
    task: str,
    on_answer: Callable[[Answer], None],
    stop: Callable[[], str] = never,
    route: Route | None = None,
) -> RungEnd:
    """Send the shots of a rung and hand each answer to `on_answer`, failed ones too.

    `stop` is asked ten times a second, and after refusals; what it answers, if anything, ends the
    rung: nothing more is sent, connections are closed (a server then stops generating), and answers
    under way are handed over as cut off. An exception, Ctrl-C too, closes everything before it
    leaves. `on_answer` is called in idle moments, from this thread. Whatever the
    server does is an answer with an `error`, never an exception; one that cannot be reached ends
    the rung. `route`, if there is one already, holds the first connection.

    Raises:
        UsageError: the URL, a header or the rung makes no sense.
    """
    if rung.concurrency < 1 or rung.requests < 1 or rung.timeout_s <= 0:
        raise UsageError("a load needs at least one request, one stream and a time limit")
    site = read_url(endpoint.base_url)
    desk = Desk(task=task, endpoint=endpoint, dialect=dialect, site=site, on_answer=on_answer)
    with undisturbed():
        proxy = proxy_of(site)
        if proxy:
            return _by_httpx(endpoint, site, dialect, rung, desk=desk, stop=stop, proxy=proxy)
        try:
            route = route or find_route(endpoint, site, dialect.framing)
        except OSError as err:
            return _unreachable(rung, desk, dialect, of_connection(err, site.place))
        loop = Loop(route, dialect, rung, finished=desk.take, began=desk.begin, stop=stop)
        try:
            loop.run()
        except Http2OnlyError:
            return _by_httpx(endpoint, site, dialect, rung, desk=desk, stop=stop, proxy="")
        return desk.close(stopped=loop.stopped, connections=loop.pool.opened)


def _by_httpx(
    endpoint: Endpoint,
    site: Site,
    dialect: Dialect,
    rung: Rung,
    *,
    desk: Desk,
    stop: Callable[[], str],
    proxy: str,
) -> RungEnd:
    """Through a proxy, or to a server that speaks HTTP/2 only: a kept library, stamped by us."""
    from costaudit.record.client.by_httpx import Courier

    courier = Courier(
        endpoint, site, dialect, rung, finished=desk.take, began=desk.begin, stop=stop, proxy=proxy
    )
    courier.run()
    return desk.close(stopped=courier.stopped, connections=courier.opened, user_stamps=True)


def _unreachable(rung: Rung, desk: Desk, dialect: Dialect, why: str) -> RungEnd:
    began_ns = desk.begin()
    shot = Pace(rung, began_ns).take(began_ns + 2**62)
    if shot is not None:
        exchange = Exchange(shot, dialect, began_ns)
        exchange.end(why)
        desk.take(exchange)
    return desk.close(stopped=why, connections=0)

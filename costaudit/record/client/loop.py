"""One thread, one epoll: sends what is due, stores what comes, and reads it when there is time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from costaudit.record.client.backlog import Backlog
from costaudit.record.client.connection import IN, OUT
from costaudit.record.client.exchange import Exchange
from costaudit.record.client.faults import check_http1, of_connection
from costaudit.record.client.pace import Pace
from costaudit.record.client.poller import CLOSED, TOOK
from costaudit.record.client.pool import Pool, rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.record.client.connection import Connection
    from costaudit.record.client.load import Rung
    from costaudit.record.client.route import Route
    from costaudit.record.dialects.dialect import Dialect

_NS = 1_000_000_000
_TICK_NS = _NS // 10  # how often time limits and `stop` are looked at
_OPEN_NS = 10 * _NS  # the longest wait for a connection
_STALE_NS = _NS // 2  # a kept connection found closed later than this was closed on purpose


class Loop:
    """A rung being run.

    `began` starts the clock and tells it; `finished` is given each exchange once it is over, in
    idle moments.
    """

    def __init__(
        self,
        route: Route,
        dialect: Dialect,
        rung: Rung,
        *,
        finished: Callable[[Exchange], None],
        began: Callable[[], int],
        stop: Callable[[], str],
    ) -> None:
        self.stopped = ""
        self.pool = Pool(route, min(rung.concurrency, rung.requests))
        self._route, self._place = route, route.site.place
        self._dialect = dialect
        self._rung = rung
        self._began = began
        self._stop = stop
        self._pace: Pace | None = None  # None: the rung has not begun
        self._opening = set(self.pool.streams)  # before it begins
        self._free: list[Connection] = []
        self._busy: set[Connection] = set()  # with an exchange
        self._backlog = Backlog(streams=rung.concurrency, finished=finished)
        self._launching = False
        self._tick_ns = time.time_ns() + _TICK_NS
        self._ever_open = False
        self._refused = 0  # attempts to connect, in a row

    def run(self) -> None:
        """Until every answer has come, or `stop`; closes every connection, whatever happens."""
        try:
            # Connecting is no part of a latency: every stream connects before the clock starts.
            for connection in self.pool.streams:
                self._open(connection)
            while self._unfinished():
                ready = self._wait()
                self._serve(ready)
                now_ns = time.time_ns()
                if now_ns >= self._tick_ns:
                    self._tick(now_ns)
                self._launch(now_ns)
                if self._backlog:
                    self._backlog.read()
                elif not self._rung.idle():
                    rest(len(ready), len(self._busy))
        finally:
            self.pool.close()
            while self._backlog:
                self._backlog.read()

    def _unfinished(self) -> bool:
        if self._busy or self._pace is None:
            return True
        return not (self.stopped or self._pace.over)

    def _wait(self) -> list[tuple[Connection, int]]:
        if self._backlog:
            return self.pool.ready(0)
        due_ns = self._pace.next_ns() if self._pace is not None and self._free else None
        return self.pool.ready(self._tick_ns if due_ns is None else min(due_ns, self._tick_ns))

    def _serve(self, ready: list[tuple[Connection, int]]) -> None:
        """What came is in the inboxes already: here is what that may mean."""
        for connection, why in ready:
            exchange = connection.exchange
            if why == TOOK and exchange is not None:
                self._look(connection, exchange)
            elif why == CLOSED and exchange is not None:
                self._closed(connection, exchange)
            elif why < 0:
                self._lost(connection, of_connection(OSError(-why, os.strerror(-why)), self._place))
            elif connection.sock is not None:  # not closed since
                self._turn(connection, why)

    def _turn(self, connection: Connection, mask: int) -> None:
        """Whatever else epoll says of a connection."""
        if not connection.ready:
            self._progress(connection)
            return
        try:
            if mask & OUT and connection.push():
                self.pool.watch(connection, IN)
            got = connection.receive() if mask & ~OUT else None
        except OSError as err:
            self._lost(connection, of_connection(err, self._place))
            return
        exchange = connection.exchange
        if got is None:
            pass
        elif exchange is None:  # closed while idle, or somebody talks out of turn
            self.pool.shut(connection)
        elif not got[0]:
            self._closed(connection, exchange)
        elif exchange.inbox.take(*got, time.time_ns()):
            self._look(connection, exchange)

    def _look(self, connection: Connection, exchange: Exchange) -> None:
        """The answer may be over."""
        exchange.frame()
        if exchange.over:
            self._finish(connection, exchange)
        elif exchange.long:
            self._backlog.under_way(exchange)

    def _launch(self, now_ns: int) -> None:
        """Send what is due on the streams that are free."""
        pace = self._pace
        if pace is None or self._launching:
            return
        self._launching = True  # a request that fails at once frees its stream in here
        while self._free and not self.stopped:
            if self._busy and not self._ever_open:
                break  # one request is enough to learn that nobody is there
            shot = pace.take(now_ns)
            if shot is None:
                break
            connection = self._free.pop()
            closed_loop = shot.start_s is None
            intended_ns = connection.free_ns if closed_loop else pace.due_ns(shot)
            exchange = connection.exchange = Exchange(shot, self._dialect, intended_ns)
            self._busy.add(connection)
            if connection.ready:
                self._send(connection, exchange)
            else:
                self._open(connection)
        self._launching = False

    def _send(self, connection: Connection, exchange: Exchange) -> None:
        request = self._route.request(exchange.shot.call)
        now_ns = exchange.sent_ns = time.time_ns()
        exchange.own_late_ns = now_ns - max(exchange.intended_ns, connection.free_ns)
        try:
            whole = connection.send(request)
        except OSError as err:
            self._lost(connection, of_connection(err, self._place))
            return
        self.pool.watch(connection, IN if whole else IN | OUT)
        self.pool.arm(connection, exchange.inbox)

    def _finish(self, connection: Connection, exchange: Exchange, cut: str = "") -> None:
        """The exchange is over; its stream is free for the next."""
        exchange.end(cut)
        if exchange.refused:
            self._tick_ns = 0  # it may be time to stop: not at the next tenth of a second
        if not exchange.keeps_alive or connection.out:
            self.pool.shut(connection)
        elif connection.sock is not None:
            self.pool.arm(connection, None)
        connection.served += 1
        connection.exchange = None
        connection.free_ns = exchange.end_ns
        self._busy.discard(connection)
        self._free.append(connection)
        self._backlog.over(exchange)
        self._launch(time.time_ns())

    def _closed(self, connection: Connection, exchange: Exchange) -> None:
        """The other side closed in mid-exchange."""
        exchange.frame()
        if exchange.silent:
            self._lost(connection, "")
        elif exchange.framer.finish():
            self._finish(connection, exchange)
        else:
            self._finish(connection, exchange, f"{self._place} closed the connection in mid-answer")

    def _lost(self, connection: Connection, why: str) -> None:
        """The connection is gone. `why` is empty where the other side closed it in good order.

        A kept connection may be closed by the server just while a request is on its way; its
        kernel then refuses the request, and no part of the server has seen it. Only then is it
        sent again, once: a request that anybody may have read is never repeated.
        """
        exchange = connection.exchange
        if exchange is None:
            self.pool.shut(connection)
        elif (
            (why or connection.unread())
            and connection.served > 0
            and exchange.silent
            and not exchange.retried
            and time.time_ns() - exchange.sent_ns < _STALE_NS
        ):
            exchange.retried = True
            exchange.rewind()
            self.pool.shut(connection)
            self._open(connection)
        else:
            silent = f"{self._place} closed the connection without an answer"
            self._finish(connection, exchange, why or silent)

    def _open(self, connection: Connection) -> None:
        try:
            self.pool.open(connection)
        except OSError as err:
            self._not_open(connection, err)

    def _progress(self, connection: Connection) -> None:
        try:
            mask = connection.progress()
        except OSError as err:
            self._not_open(connection, err)
            return
        self.pool.watch(connection, mask or IN)
        if mask:
            return
        self._ever_open, self._refused = True, 0
        connection.free_ns = time.time_ns()
        if connection.exchange is None:
            self._opened(connection)
        else:
            self._send(connection, connection.exchange)

    def _not_open(self, connection: Connection, err: OSError) -> None:
        exchange = connection.exchange
        self.pool.shut(connection)
        if not self._ever_open:
            check_http1(err)
        if exchange is None:  # it is tried once more when there is a request for it
            self._opened(connection)
            return
        self._refused, why = self._refused + 1, of_connection(err, self._place)
        if not self._ever_open or self._refused > self._rung.concurrency:
            self.stopped = self.stopped or why
        self._finish(connection, exchange, why)

    def _opened(self, connection: Connection) -> None:
        """Before the rung: one stream fewer to wait for."""
        self._opening.discard(connection)
        self._free.append(connection)
        if self._pace is None and not self._opening:
            self._pace = Pace(self._rung, began_ns := self._began())
            for stream in self._free:
                stream.free_ns = began_ns
            self._launch(began_ns)

    def _tick(self, now_ns: int) -> None:
        """Time limits, and whether to go on."""
        self._tick_ns = now_ns + _TICK_NS
        self.stopped = self.stopped or self._stop()
        limit_s = self._rung.timeout_s
        for connection in [*self._busy, *self._opening]:
            exchange = connection.exchange
            if exchange is not None and self.stopped:
                self._finish(connection, exchange, f"cut off: {self.stopped}")
            elif not connection.ready:
                if now_ns - connection.since_ns > _OPEN_NS:
                    self._not_open(connection, TimeoutError())
            elif exchange is not None and now_ns - exchange.sent_ns > limit_s * _NS:
                self._finish(connection, exchange, f"no end of the answer within {limit_s:g} s")
        if self.stopped and self._pace is None:
            self._pace = Pace(self._rung, now_ns)  # never begun

"""The connections of a rung and what watches them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from costaudit.record.client.connection import OUT, Connection
from costaudit.record.client.wire import Poller

if TYPE_CHECKING:
    import socket

    from costaudit.record.client.inbox import Inbox
    from costaudit.record.client.route import Route

# With many streams, a wake-up for each event costs more than the event. Stamps are the kernel's,
# so nothing is lost by letting a few gather; with few streams every event is taken at once. The
# rest is so many seconds for each stream under way: a thousandth of what it waits for a token.
_MANY, _FEW, _REST_S, _MOST_REST_S = 48, 8, 4e-6, 1e-3


class Pool:
    """At most as many connections as there are streams; `opened` counts every one ever made."""

    def __init__(self, route: Route, streams: int) -> None:
        self.opened = 0
        self.streams = [Connection(route.context, route.site.host) for _ in range(streams)]
        self._route = route
        self._first: socket.socket | None = route.socket
        self._poller = Poller()

    def open(self, connection: Connection) -> None:
        """Begin to connect; `Connection.progress` goes on when the socket is ready.

        Raises:
            OSError: refused at once, or no more files.
        """
        connection.since_ns = time.time_ns()
        if self._first is not None:
            first, self._first = self._first, None
            connection.adopt(first)
        else:
            connection.open(self._route.address)
        self.opened += 1
        self.watch(connection, OUT)

    def watch(self, connection: Connection, mask: int) -> None:
        """Wait for these events of a connection from now on."""
        if mask != connection.mask:
            self._poller.watch(connection.open_socket(), mask, connection)
            connection.mask = mask

    def arm(self, connection: Connection, inbox: Inbox | None) -> None:
        """What comes belongs to this answer, in the clear; None: it is to be looked at first."""
        if not connection.encrypted:
            self._poller.arm(connection.open_socket(), inbox)

    def shut(self, connection: Connection) -> None:
        """Close a connection; it may be opened again."""
        self._poller.forget(connection.fd)
        connection.close()

    def ready(self, until_ns: int) -> list[tuple[Connection, int]]:
        """Those with something to be done, and what (see `Poller.poll`); waits so long for one."""
        return self._poller.poll(until_ns - time.time_ns())

    def close(self) -> None:
        """Close everything: a server stops generating when its client is gone."""
        for connection in self.streams:
            connection.close()
        self._poller.close()
        if self._first is not None:
            self._first.close()


def rest(looks: int, streams: int) -> None:
    """Let some events gather where few answers wanted a look and more is soon to come."""
    if looks < _FEW and streams >= _MANY:
        time.sleep(min(_REST_S * streams, _MOST_REST_S))

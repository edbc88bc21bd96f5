"""The connections of a rung and the epoll that watches them."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from costaudit.record.client.connection import OUT, Connection

if TYPE_CHECKING:
    import socket

    from costaudit.record.client.route import Route

_NS = 1_000_000_000
_FINE_NS = 2_000_000  # epoll waits in whole milliseconds; below this `select` does it
_FD_SETSIZE = 1_024  # descriptors that `select` takes
# With many streams, a wake-up for each event costs more than the event. Stamps are the kernel's,
# so nothing is lost by letting a few gather; with few streams every event is taken at once. The
# rest is so many seconds for each stream under way: a thousandth of what it waits for a token.
_MANY, _FEW, _REST_S, _MOST_REST_S = 48, 8, 4e-6, 1e-3


class Pool:
    """At most as many connections as there are streams; `opened` counts every one ever made.

    `by_fd` holds those that are open, by their descriptors.
    """

    def __init__(self, route: Route, streams: int) -> None:
        self.opened = 0
        self.streams = [Connection(route.context, route.site.host) for _ in range(streams)]
        self._route = route
        self._first: socket.socket | None = route.socket
        self._epoll = select.epoll()
        self.by_fd: dict[int, Connection] = {}

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
        self.by_fd[connection.fd] = connection
        self._epoll.register(connection.fd, OUT)
        connection.mask = OUT

    def watch(self, connection: Connection, mask: int) -> None:
        """Wait for these events of a connection from now on."""
        if mask != connection.mask:
            self._epoll.modify(connection.fd, mask)
            connection.mask = mask

    def shut(self, connection: Connection) -> None:
        """Close a connection; it may be opened again."""
        self.by_fd.pop(connection.fd, None)
        connection.close()  # epoll forgets a closed descriptor by itself

    def ready(self, until_ns: int, due_ns: int | None) -> list[tuple[int, int]]:
        """Descriptors with something to do, and what; waits for the earlier of both times."""
        now_ns = time.time_ns()
        if due_ns is not None and due_ns < until_ns:
            left_ns = due_ns - now_ns
            if 0 < left_ns < _FINE_NS and self._epoll.fileno() < _FD_SETSIZE:
                select.select([self._epoll], [], [], left_ns / _NS)
                return self._epoll.poll(0)
            until_ns = due_ns - _FINE_NS // 2
        return self._epoll.poll(max(0, (until_ns - now_ns) // 1_000_000) / 1000)

    def close(self) -> None:
        """Close everything: a server stops generating when its client is gone."""
        for connection in self.streams:
            connection.close()
        self.by_fd.clear()
        self._epoll.close()
        if self._first is not None:
            self._first.close()


def rest(events: int, streams: int) -> None:
    """Let some events gather where only few came and more are soon to come."""
    if events < _FEW and streams >= _MANY:
        time.sleep(min(_REST_S * streams, _MOST_REST_S))

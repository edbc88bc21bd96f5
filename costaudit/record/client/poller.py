"""Waits for sockets and receives what came on them."""

from __future__ import annotations

import errno
import select
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from costaudit.record.client.inbox import Inbox

    Read = Callable[[int, int], tuple[bytes, list[tuple[int, int, bytes]], int, object]]

READ_BYTES = 65_536
CONTROL_BYTES = 64  # room for one struct timespec with its header
TOOK, CLOSED = 1 << 29, 1 << 30  # beside epoll's own bits
_NS = 1_000_000_000
_FINE_NS = 2_000_000  # epoll waits in whole milliseconds; below this `select` does it
_EARLY_NS = _FINE_NS // 2  # it may oversleep, so it is asked twice
_FD_SETSIZE = 1_024  # descriptors that `select` takes


class Poller:
    """One epoll. Each socket has an owner; what comes on an armed one goes into its inbox."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._owners: dict[int, object] = {}
        self._armed: dict[int, tuple[Inbox, Read]] = {}

    def watch(self, sock: socket.socket, events: int, owner: object) -> None:
        """Wait for these events of a socket from now on.

        Raises:
            OSError: it cannot be watched.
        """
        fd = sock.fileno()
        if fd in self._owners:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
            self._owners[fd] = owner

    def arm(self, sock: socket.socket, inbox: Inbox | None) -> None:
        """Receive what comes on a watched socket into this inbox; None: into none."""
        if inbox is None:
            self._armed.pop(sock.fileno(), None)
        else:
            self._armed[sock.fileno()] = (inbox, sock.recvmsg)

    def forget(self, fd: int) -> None:
        """This socket is about to be closed; epoll then forgets it by itself."""
        self._owners.pop(fd, None)
        self._armed.pop(fd, None)

    def poll(self, timeout_ns: int) -> list[tuple[Any, int]]:
        """Wait, and receive on armed sockets. The owners that are to be served, and why.

        `TOOK`: the answer may be over; `CLOSED`: by the other side; below 0: an error's number,
        negative; else what epoll says of a socket that is not armed, or has more to tell.
        """
        told: list[tuple[Any, int]] = []
        owners, armed = self._owners, self._armed
        for fd, events in self._wait(timeout_ns):
            inbox, read = armed.get(fd, (None, None)) if events == select.EPOLLIN else (None, None)
            found = events if inbox is None or read is None else _receive(inbox, read)
            if found and fd in owners:
                told.append((owners[fd], found))
        return told

    def _wait(self, timeout_ns: int) -> list[tuple[int, int]]:
        if 0 < timeout_ns < _FINE_NS and self._epoll.fileno() < _FD_SETSIZE:
            select.select([self._epoll], [], [], timeout_ns / _NS)
            timeout_ns = 0
        return self._epoll.poll(max(0, (timeout_ns - _EARLY_NS) // 1_000_000) / 1000)

    def close(self) -> None:
        """Watch nothing any more."""
        self._owners.clear()
        self._armed.clear()
        self._epoll.close()


def _receive(inbox: Inbox, read: Read) -> int:
    """One read. What the owner is to be told; 0: nothing."""
    try:
        data, control, _, _ = read(READ_BYTES, CONTROL_BYTES)
    except BlockingIOError:
        return 0
    except OSError as err:
        return -(err.errno or errno.EIO)
    if not data:
        return CLOSED
    took = inbox.take(data, control[0][2] if control else b"", time.time_ns())
    return TOOK if took else 0

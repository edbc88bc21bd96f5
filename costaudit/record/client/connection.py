"""One TCP connection, non-blocking, with kernel receive stamps; TLS over the same socket."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
from typing import TYPE_CHECKING

from costaudit.record.client.poller import CONTROL_BYTES, READ_BYTES

if TYPE_CHECKING:
    import ssl

    from costaudit.record.client.address import Address
    from costaudit.record.client.exchange import Exchange

# Linux's number where this Python does not name it. The kernel stamps each segment on arrival
# (CLOCK_REALTIME); a read returns the stamp of the last segment in it. See socket(7).
SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Connection:
    """A connection that can be opened again and again; it carries one exchange at a time.

    `ready`: open, handshake done. `served` counts answers since it was opened, `free_ns` is when it
    last became free (a kernel stamp where there is one).
    """

    __slots__ = (
        "_handshaking",
        "_incoming",
        "_outgoing",
        "_tls",
        "context",
        "exchange",
        "fd",
        "free_ns",
        "host",
        "mask",
        "out",
        "ready",
        "served",
        "since_ns",
        "sock",
    )

    def __init__(self, context: ssl.SSLContext | None, host: str) -> None:
        self.context = context
        self.host = host
        self.sock: socket.socket | None = None
        self.fd = -1
        self.exchange: Exchange | None = None
        self.out = memoryview(b"")
        self.mask = 0
        self.ready = False
        self.served = 0
        self.free_ns = 0
        self.since_ns = 0  # when it began to connect
        self._tls: ssl.SSLObject | None = None
        self._handshaking = False

    def open(self, address: Address) -> None:
        """Begin to connect.

        Raises:
            OSError: refused at once, or no more files.
        """
        sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.adopt(sock)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address.sockaddr)
        except BlockingIOError:
            pass  # under way
        except OSError:
            self.close()
            raise

    def adopt(self, sock: socket.socket) -> None:
        """Take a socket that is connected or about to be."""
        self.sock = sock
        self.fd = sock.fileno()
        self.ready = False
        self.served = 0
        self.out = memoryview(b"")
        self.mask = 0
        self._tls = None
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    @property
    def encrypted(self) -> bool:
        """What comes over the socket has to be decrypted."""
        return self.context is not None

    def progress(self) -> int:
        """Go on connecting. 0 when `ready`, else the epoll events to wait for.

        Raises:
            OSError: it failed; `ssl.SSLError` is one.
        """
        sock = self.open_socket()
        if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        if self.context is None:
            self.ready = True
            return 0
        return self._handshake(self.context, sock)

    def _handshake(self, context: ssl.SSLContext, sock: socket.socket) -> int:
        import ssl

        if self._tls is None:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=self.host)
        else:
            try:
                data = sock.recv(READ_BYTES)
                self._incoming.write(data) if data else self._incoming.write_eof()
            except BlockingIOError:
                pass
        try:
            self._tls.do_handshake()
            self.ready = True
        except ssl.SSLWantReadError:
            pass
        finally:
            self._flush_tls()
        return 0 if self.ready and not self.out else IN | (OUT if self.out else 0)

    def send(self, data: bytes) -> bool:
        """Send a request, or begin to. False where bytes are left for `push`.

        Raises:
            OSError: the connection is gone.
        """
        if self._tls is not None:
            self._tls.write(data)
            self._flush_tls()
            return not self.out
        try:
            done = self.open_socket().send(data)
        except BlockingIOError:
            done = 0
        if done == len(data):
            return True
        self.out = memoryview(data)[done:]
        return False

    def push(self) -> bool:
        """Send what is left. True when nothing is.

        Raises:
            OSError: the connection is gone.
        """
        while self.out:
            try:
                self.out = self.out[self.open_socket().send(self.out) :]
            except BlockingIOError:
                return False
        return True

    def receive(self) -> tuple[bytes, bytes] | None:
        """What came, with the kernel's stamp of it (struct timespec; empty: none).

        Empty bytes: the other side closed. None: nothing readable yet.

        Raises:
            OSError: the connection is gone.
        """
        try:
            data, control, _, _ = self.open_socket().recvmsg(READ_BYTES, CONTROL_BYTES)
        except BlockingIOError:
            return None
        stamp = control[0][2] if control else b""
        return (data, stamp) if self._tls is None else self._decrypt(data, stamp, self._tls)

    def _decrypt(self, data: bytes, stamp: bytes, tls: ssl.SSLObject) -> tuple[bytes, bytes] | None:
        import ssl

        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        plain, closed = [], not data
        try:
            while True:
                part = tls.read(READ_BYTES)
                if not part:
                    closed = True
                    break
                plain.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # a ragged end is judged by HTTP's own rules
            closed = True
        if self._outgoing.pending:
            self._flush_tls()
        if not plain and not closed:
            return None
        return b"".join(plain), stamp

    def _flush_tls(self) -> None:
        if self._outgoing.pending:
            self.out = memoryview(bytes(self.out) + self._outgoing.read())
            self.push()

    def unread(self) -> bool:
        """Did the other side's kernel not take all that was sent?"""
        if self.sock is None:
            return False
        (count,) = struct.unpack("=i", fcntl.ioctl(self.fd, termios.TIOCOUTQ, b"\0\0\0\0"))
        return bool(count > 0)

    def open_socket(self) -> socket.socket:
        """The socket.

        Raises:
            OSError: there is none.
        """
        if self.sock is None:
            raise OSError("the connection is closed")
        return self.sock

    def close(self) -> None:
        """Close at once; the other side sees that nobody listens any more."""
        if self.sock is not None:
            self.sock.close()
        self.sock, self.fd, self.ready = None, -1, False
        self._tls = None
        self.out = memoryview(b"")

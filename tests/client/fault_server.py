"""A raw-socket server that answers each request with the bytes, pauses and ends it is told."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager, suppress

CLOSE, RESET, HANG = "close", "reset", "hang"  # what may follow or replace bytes; a float: a pause


class FaultServer:
    """`script(n)` gives what to do with the n-th request: a list of bytes, pauses and ends."""

    def __init__(self, script, *, context=None):
        self.script = script
        self.context = context
        self.requests = []
        self.connections = 0
        self.idle_close = False  # close kept connections after each answer, unannounced
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        scheme = "https" if self.context else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock):
        with suppress(OSError, ssl.SSLError), sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            while (request := self._read(sock)) is not None:
                with self._lock:
                    number = len(self.requests)
                    self.requests.append(request)
                for act in self.script(number):
                    if not self._do(sock, act):
                        return
                if self.idle_close:
                    return

    @staticmethod
    def _read(sock):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        while len(body) < length:
            body += sock.recv(65536)
        return head + b"\r\n\r\n" + body

    @staticmethod
    def _do(sock, act):
        if isinstance(act, bytes):
            sock.sendall(act)
        elif isinstance(act, float):
            time.sleep(act)
        elif act == HANG:
            time.sleep(60)
        else:
            if act == RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        return True

    def stop(self):
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty(script, *, context=None):
    server = FaultServer(script if callable(script) else lambda _: script, context=context)
    try:
        yield server
    finally:
        server.stop()


def head(status="200 OK", kind="text/event-stream", **more):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunked(*pieces, end=True):
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return coded + (b"0\r\n\r\n" if end else b"")


def plain(status, body, kind="application/json", **more):
    return head(status, kind, Content_Length=len(body), **more) + body


def token(text="x", finish="null"):
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n' % (
        text.encode(),
        finish.encode(),
    )


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = (token("a"), token("b"), token("c", '"stop"'), USAGE, DONE)
STREAM = head(Transfer_Encoding="chunked")
GOOD = STREAM + chunked(*WHOLE)

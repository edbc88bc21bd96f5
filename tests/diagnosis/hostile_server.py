"""A server whose metrics page misbehaves, and one that counts what it is asked."""

from __future__ import annotations

import gzip
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD = (
    'vllm:num_requests_running{engine="0",model_name="m"} 0.0\n'
    'vllm:num_requests_waiting{engine="0",model_name="m"} 0.0\n'
    'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.0\n'
    'vllm:generation_tokens_total{engine="0",model_name="m"} 7.0\n'
)
MODELS = b'{"object":"list","data":[{"id":"m","owned_by":"vllm","max_model_len":2048}]}'
PIECE = 1 << 16


class Handler(BaseHTTPRequestHandler):
    """Answers /v1/models and /version as vLLM does; `page` is what /metrics does."""

    protocol_version = "HTTP/1.1"
    page: Callable[[Handler], None]
    asked: list[tuple[float, str, str]]

    def do_GET(self) -> None:
        self.asked.append((time.monotonic(), self.command, self.path))
        if self.path == "/metrics":
            type(self).page(self)
        elif self.path == "/v1/models":
            self.send(MODELS, "application/json")
        elif self.path == "/version":
            self.send(b'{"version":"0.32.0"}', "application/json")
        else:
            self.send(b"{}", "application/json", status=404)

    do_POST = do_GET  # noqa: N815 - the base class's spelling

    def send(self, body: bytes, kind: str, *, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self, kind: str = "text/plain; version=0.0.4") -> None:
        """The head of a body that ends with the connection."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """A test's output is quiet."""


def good(handler: Handler) -> None:
    handler.send(GOOD.encode(), "text/plain; version=0.0.4")


def huge(handler: Handler) -> None:
    """200 MB of one metric."""
    handler.begin()
    line = b'vllm:num_requests_running{engine="%d"} 1.0\n'
    piece = b"".join(line % number for number in range(PIECE // len(line)))
    for _ in range((200 << 20) // len(piece)):
        handler.wfile.write(piece)


def endless(handler: Handler) -> None:
    handler.begin()
    while True:
        handler.wfile.write(b"# nothing\n" * 1000)


def dripping(handler: Handler) -> None:
    """One byte a second."""
    handler.begin()
    for byte in GOOD.encode():
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(1)


def bomb(handler: Handler) -> None:
    """A gigabyte in a megabyte."""
    packed = gzip.compress(b"# " + b"\0" * (1 << 28), 9)
    handler.send(packed, "text/plain", Content_Encoding="gzip")


def html(handler: Handler) -> None:
    handler.send(b"<html>vllm:num_requests_running 1.0</html>", "text/html")


def redirected(handler: Handler) -> None:
    """To itself, for ever."""
    handler.send(b"", "text/plain", status=302, Location="/metrics")


def elsewhere(handler: Handler) -> None:
    """To another host, which must not be asked."""
    handler.send(b"", "text/plain", status=302, Location="http://192.0.2.1/metrics")


def failing(handler: Handler) -> None:
    handler.send(b"out of order", "text/plain", status=500)


def noise(handler: Handler) -> None:
    handler.send(bytes(range(256)) * 64, "text/plain")


@contextmanager
def serving(page: Callable[[Handler], None]) -> Iterator[tuple[str, list[tuple[float, str, str]]]]:
    """The address of a server with that page, and the list of what it was asked."""
    asked: list[tuple[float, str, str]] = []
    kind = type("Kind", (Handler,), {"page": staticmethod(page), "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that hangs up is what is tested
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()

"""Plain requests to a server, bounded in size and time, for discovery and scrapes.

A redirect is followed once, to the same host and port only. Bodies are read up to a limit, packed
ones unpacked up to the same. Proxies are those of the environment.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urljoin, urlsplit

from costaudit.record.servers.unreachable import unreachable

if TYPE_CHECKING:
    import urllib.request
    from collections.abc import Mapping
    from http.client import HTTPResponse

TIMEOUT_S = 5.0
MAX_BYTES = 8 << 20  # vLLM's exposition is 0.1 MB, a router's over many replicas some MB
_READ_BYTES = 1 << 16
_REDIRECTS = {301, 302, 303, 307, 308}


class _Bounds(TypedDict):
    verify_tls: bool
    timeout_s: float
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back; header names in lower case. `whole` is False where the limit cut it.

    `first_s` and `elapsed_s` are seconds from the request to the body's first and last byte.
    """

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = True
    first_s: float = 0.0
    elapsed_s: float = 0.0

    @property
    def ok(self) -> bool:
        """A whole answer with status 200."""
        return self.status == 200 and self.whole  # noqa: PLR2004 - HTTP's own number

    @property
    def content_type(self) -> str:
        """Media type, without its parameters."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def is_page(self) -> bool:
        """A page for people, hence no answer of an API."""
        return self.content_type in {"text/html", "application/xhtml+xml"}

    def text(self) -> str:
        """The body as text; "" where it is a page for people."""
        return "" if self.is_page else self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        if self.is_page or not self.body:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def mapping(self) -> dict[str, Any]:
        """The JSON object in a good answer; empty where there is none."""
        found = self.json() if self.ok else None
        return found if isinstance(found, dict) else {}


def fetch(
    url: str,
    *,
    headers: Mapping[str, str],
    post: Mapping[str, Any] | bytes | None = None,
    content_type: str = "application/json",
    verify_tls: bool = True,
    timeout_s: float = TIMEOUT_S,
    max_bytes: int = MAX_BYTES,
) -> Reply:
    """GET `url`, or POST `post` to it (a mapping as JSON); any HTTP status is an answer.

    Raises:
        TargetError: nothing listens there, or it speaks no HTTP; with a hint.
        UsageError: the address is none of http(s).
    """
    body = post if post is None or isinstance(post, bytes) else json.dumps(post).encode()
    bounds = _Bounds(verify_tls=verify_tls, timeout_s=timeout_s, max_bytes=max_bytes)
    reply = _once(_request(url, headers, body, content_type), **bounds)
    if reply.status in _REDIRECTS and body is None:
        there = urljoin(url, reply.headers.get("location", ""))
        if urlsplit(there)[:2] == urlsplit(url)[:2] and there != url:
            return _once(_request(there, headers, None, content_type), **bounds)
    return reply


def _once(
    request: urllib.request.Request, *, verify_tls: bool, timeout_s: float, max_bytes: int
) -> Reply:
    import http.client

    began = time.monotonic()
    line = _Line(timeout_s)
    try:
        with line, _opener(line, verify_tls=verify_tls).open(request, timeout=timeout_s) as answer:
            content = answer.read1(_READ_BYTES)
            first_s = time.monotonic() - began
            content, whole = _bounded(answer, content, max_bytes)
            found = {key.lower(): value for key, value in answer.headers.items()}
            if found.get("content-encoding", "identity") != "identity":
                content, unpacked = _unpacked(content, max_bytes)
                whole = whole and unpacked
            status = answer.status
        if line.late:  # hanging up looks like the end of the body
            raise TimeoutError
    except (OSError, http.client.HTTPException, ValueError) as err:
        problem = TimeoutError() if line.late else err
        raise unreachable(request.full_url, problem, timeout_s) from err
    elapsed_s = time.monotonic() - began
    return Reply(
        url=request.full_url,
        status=status,
        headers=found,
        body=content,
        whole=whole,
        first_s=first_s,
        elapsed_s=elapsed_s,
    )


def _request(
    url: str, headers: Mapping[str, str], body: bytes | None, content_type: str
) -> urllib.request.Request:
    import urllib.request

    sent = {"User-Agent": "costaudit", "Accept-Encoding": "identity", **headers}
    if body is not None:
        sent["Content-Type"] = content_type
    return urllib.request.Request(url, data=body, headers=sent)  # noqa: S310 - see _opener


class _Line:
    """Hangs up on a server that drips: a socket's own timeout counts from byte to byte."""

    def __init__(self, timeout_s: float) -> None:
        self.late = False
        self.sock: socket.socket | None = None
        self._timer = threading.Timer(timeout_s, self._hang_up)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _hang_up(self) -> None:
        self.late = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def _opener(line: _Line, *, verify_tls: bool) -> urllib.request.OpenerDirector:
    """Speaks http and https only, and takes every status and redirect for an answer."""
    import http.client
    import ssl
    import urllib.request

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            line.sock = self.sock

    class Secure(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            line.sock = self.sock

    class Handler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            context = ssl.create_default_context()  # 40 ms: it reads all authorities
            if not verify_tls:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            return self.do_open(Secure, req, context=context)

        https_request = urllib.request.AbstractHTTPHandler.do_request_

    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), Handler(), urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _bounded(answer: HTTPResponse, begun: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """The body up to `max_bytes`, and whether that was all."""
    body = bytearray(begun)
    while piece := answer.read1(_READ_BYTES):
        body += piece
        if len(body) > max_bytes:
            return bytes(body[:max_bytes]), False
    return bytes(body), True


def _unpacked(content: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """Gzip or deflate (asked for or not) unpacked up to `max_bytes`; nothing where it is broken."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header
    try:
        return unpacker.decompress(content, max_bytes), not unpacker.unconsumed_tail
    except zlib.error:
        return b"", False

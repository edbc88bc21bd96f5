"""Reads one exporter's Prometheus page: bounded in time and size, and never led elsewhere.

No proxy is used and no redirect followed, so the page asked for is the page that answers. A name
and password in the URL go out as basic authentication and into no message.
"""

from __future__ import annotations

import base64
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, unquote, urlsplit

TIMEOUT_S = 1.0
MOST_BYTES = 4 << 20  # a node with eight GPUs fills about 100 kB
_CHUNK_BYTES = 64 << 10
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403


class PageError(Exception):
    """No page: the sentence says why; `refused` that somebody is there who will not show it."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAddress:
    """Where a page is; `shown` is what may be told of it: no name, password or query."""

    parts: SplitResult
    shown: str


def page_address(url: str) -> PageAddress:
    """A checked address; the path is /metrics unless another is given.

    Raises:
        PageError: it is no http or https URL.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"}:
        raise PageError("its address is no http or https URL")
    path = "/metrics" if parts.path in {"", "/"} else parts.path
    name = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{name}{f':{port}' if port else ''}{path}"
    return PageAddress(parts=parts._replace(path=path), shown=shown)


def fetch(address: PageAddress, *, timeout_s: float = TIMEOUT_S) -> str:
    """The page's text, within `timeout_s` seconds after the connection stands.

    Raises:
        PageError: nobody answers, not with a page, too late, or with more than MOST_BYTES.
    """
    parts = address.parts
    secure = parts.scheme == "https"
    connection = (HTTPSConnection if secure else HTTPConnection)(
        parts.hostname or "", parts.port, timeout=timeout_s
    )
    late = threading.Event()
    try:
        connection.connect()
        # A socket's timeout counts from byte to byte, so a slow drip would never end.
        stop = threading.Timer(timeout_s, _hang_up, (connection.sock, late))
        stop.start()
        try:
            return _page(connection, parts, late)
        finally:
            stop.cancel()
    except (OSError, HTTPException, UnicodeError) as err:
        if late.is_set() or isinstance(err, TimeoutError):
            raise PageError(f"{address.shown} did not answer within {timeout_s:g} s") from err
        raise PageError(f"{address.shown}: {err or type(err).__name__}") from err
    finally:
        connection.close()


def _hang_up(line: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _page(connection: HTTPConnection, parts: SplitResult, late: threading.Event) -> str:
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.request("GET", target, headers={"Accept": "text/plain", **_credentials(parts)})
    answer = connection.getresponse()
    if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
        raise PageError(f"the page is not shown to us (HTTP {answer.status})", refused=True)
    if answer.status != _OK:
        raise PageError(f"instead of a page came HTTP {answer.status}")
    body = _body(answer)
    if late.is_set():  # hanging up looks like the end of the page
        raise TimeoutError
    return body.decode("utf-8", errors="replace")


def _body(answer: HTTPResponse) -> bytes:
    body = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > MOST_BYTES:
            raise PageError(f"the page is longer than {MOST_BYTES} bytes")
    return bytes(body)


def _credentials(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

"""Where a base URL leads: host, addresses, TLS, and whether a proxy stands between."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from costaudit.record.client.load import Endpoint

_PORTS = {"http": 80, "https": 443}
_PROXY_NAMES = {"http_proxy", "https_proxy", "all_proxy"}
_FIRST_PORT, _LAST_PORT = 1, 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A base URL taken apart; `place` is what sentences call it, `authority` the Host header."""

    tls: bool
    host: str
    port: int
    path: str
    place: str
    authority: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One socket address of a site, resolved once."""

    family: int
    sockaddr: tuple[object, ...]


def read_url(url: str) -> Site:
    """Take a base URL apart.

    Raises:
        UsageError: it is none, or it carries a user name or password.
    """
    hint = "write it like http://host:8000 or https://host/v1"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as err:
        raise UsageError("the server's URL cannot be read", hint=hint) from err
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UsageError("the server's URL needs http:// or https:// and a host", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise UsageError("the server's URL holds a password", hint="give it as a header instead")
    if parts.query or parts.fragment or any(c <= " " or c == "\x7f" for c in url):
        raise UsageError("the server's URL holds more than a host and a path", hint=hint)
    if port is not None and not _FIRST_PORT <= port <= _LAST_PORT:
        raise UsageError(f"there is no port {port}", hint=hint)
    usual = _PORTS[parts.scheme]
    host = parts.hostname
    shown = f"[{host}]" if ":" in host else host
    return Site(
        tls=parts.scheme == "https",
        host=host,
        port=port or usual,
        path=parts.path.rstrip("/"),
        place=f"{shown}:{port or usual}",
        authority=shown if port in {None, usual} else f"{shown}:{port}",
    )


def resolve(site: Site) -> list[Address]:
    """Every address of the host, in the resolver's order.

    Raises:
        OSError: the name is not known.
    """
    found = socket.getaddrinfo(site.host, site.port, type=socket.SOCK_STREAM)
    return [Address(family=family, sockaddr=place) for family, _, _, _, place in found]


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """Certificates are checked unless the user said otherwise; HTTP/1.1 only."""
    import ssl

    context = ssl.create_default_context()
    if not endpoint.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def proxy_of(site: Site) -> str:
    """The proxy that the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) wants; "" for none.

    This machine is never reached through one.
    """
    if not _PROXY_NAMES & {name.lower() for name in os.environ}:
        return ""
    from ipaddress import ip_address
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    proxy = proxies.get("https" if site.tls else "http") or proxies.get("all", "")
    if not proxy or site.host == "localhost":
        return ""
    try:
        if ip_address(site.host).is_loopback:
            return ""
    except ValueError:
        pass  # a name
    return "" if proxy_bypass(site.host) else proxy


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they go over the wire.

    Raises:
        UsageError: one would break out of its line; the value is not shown.
    """
    lines = []
    for name, value in headers.items():
        if not name or any(c in "\r\n\0" for c in name + value) or ":" in name:
            raise UsageError("a header for the server holds a line break", hint="check its value")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("utf-8")

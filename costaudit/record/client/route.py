"""How requests of a rung reach the server: the address that answers, TLS, the bytes to send."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.record.client.address import header_lines, resolve, tls_context
from costaudit.record.dialects.dialect import Framing

if TYPE_CHECKING:
    import ssl

    from costaudit.record.client.address import Address, Site
    from costaudit.record.client.load import Endpoint
    from costaudit.record.dialects.dialect import Call

_CONNECT_S = 5.0  # for each address of a host: enough for three attempts of TCP
_ACCEPT = {Framing.SSE: "text/event-stream", Framing.NDJSON: "application/x-ndjson"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way to one server. `socket` is connected already, the first of the connections."""

    site: Site
    address: Address
    socket: socket.socket
    context: ssl.SSLContext | None
    fixed: bytes  # header lines that every request carries; may hold secrets

    def request(self, call: Call) -> bytes:
        """A request as it goes over the wire."""
        path = f"{self.site.path}{call.path}".encode()
        own = header_lines(call.headers) if call.headers else b""
        return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
            path,
            self.fixed,
            own,
            len(call.body),
            call.body,
        )


def fixed_headers(endpoint: Endpoint, framing: Framing) -> dict[str, str]:
    """What every request says beside its host; what the user gives rules."""
    ours = {
        "User-Agent": "costaudit",
        "Accept": _ACCEPT[framing],
        "Accept-Encoding": "identity",  # a compressed stream holds tokens back
        "Content-Type": "application/json",
    }
    given = {name.lower() for name in endpoint.headers}
    return {n: v for n, v in ours.items() if n.lower() not in given} | dict(endpoint.headers)


def find_route(endpoint: Endpoint, site: Site, framing: Framing) -> Route:
    """Resolve the host once and connect to the first of its addresses that answers.

    Raises:
        OSError: the name is unknown, or no address answers.
        UsageError: a header cannot be sent.
    """
    lines = header_lines({"Host": site.authority, **fixed_headers(endpoint, framing)})
    context = tls_context(endpoint) if site.tls else None
    failure: OSError = OSError("the host has no address")
    for address in resolve(site):
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_CONNECT_S)
            sock.connect(address.sockaddr)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as err:
            sock.close()
            failure = err
        else:
            return Route(site=site, address=address, socket=sock, context=context, fixed=lines)
    raise failure

"""Asks for the list of models over a connection that is kept for the requests to come."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.record.client.address import header_lines, proxy_of, read_url
from costaudit.record.client.http1 import Framer, HttpFault
from costaudit.record.client.route import find_route
from costaudit.record.dialects.dialect import Framing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.client.load import Endpoint
    from costaudit.record.client.route import Route

_WAIT_S = 5.0
_READ_BYTES, _MOST_BYTES = 1 << 16, 1 << 20
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The models that a server lists, who owns each, and the connection that asked."""

    owners: Mapping[str, str]
    route: Route

    def named(self, wanted: str | None) -> str:
        """The model of that name; the first where none is wanted.

        Raises:
            UsageError: it is not served.
        """
        if wanted is None:
            return next(iter(self.owners))
        if wanted not in self.owners:
            self.route.socket.close()
            raise UsageError(
                f"no model called {wanted!r} is served", hint=did_you_mean(wanted, self.owners)
            )
        return wanted


def listed_models(endpoint: Endpoint) -> Listed | None:
    """The models of `/v1/models`; None where another way of asking is needed (TLS, proxies, …)."""
    site = read_url(endpoint.base_url)
    if site.tls or proxy_of(site):
        return None
    try:
        route = find_route(endpoint, site, Framing.SSE)
    except OSError:
        return None  # the thorough way says what is wrong
    try:
        owners = _owners(_asked(route, endpoint))
    except (OSError, ValueError, HttpFault):
        owners = {}
    if not owners:
        route.socket.close()
        return None
    return Listed(owners=owners, route=route)


def _asked(route: Route, endpoint: Endpoint) -> Any:
    """The JSON of the list; the connection is left open and ready for the next request."""
    lines = header_lines({"Host": route.site.authority, **endpoint.headers})
    route.socket.settimeout(_WAIT_S)
    route.socket.sendall(b"GET %b/v1/models HTTP/1.1\r\n%b\r\n" % (route.site.path.encode(), lines))
    framer, came = Framer(), 0
    while not framer.done and came < _MOST_BYTES:
        data = route.socket.recv(_READ_BYTES)
        if not data:
            break
        came += len(data)
        framer.feed(data)
    head = framer.head
    stays = head is not None and head.keeps_alive and framer.done and not framer.overrun
    if head is None or head.status != _OK or not stays:
        raise ValueError("not a whole list over a connection that stays open")
    route.socket.setblocking(False)
    return json.loads(b"".join(framer.parts.pieces))


def _owners(listing: Any) -> dict[str, str]:
    data = listing.get("data") if isinstance(listing, dict) else None
    return {
        card["id"]: str(card.get("owned_by") or "")
        for card in (data if isinstance(data, list) else ())
        if isinstance(card, dict) and isinstance(card.get("id"), str)
    }

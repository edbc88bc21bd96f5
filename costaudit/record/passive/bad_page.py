"""A metrics route that answers, but with no page that can be read: why, in one sentence."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError
from costaudit.record.meters.prometheus_text import families
from costaudit.record.servers.paths import METRICS

if TYPE_CHECKING:
    from costaudit.record.servers.fetch import Reply
    from costaudit.record.servers.look import Look

# What servers say where metrics are off, kept back or elsewhere: nothing is wrong with that.
_OFF = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
}
_HINT = "open it in a browser; if the metrics are elsewhere, give their address by --metrics-url"


def check_page(look: Look) -> None:
    """Nothing, where the metrics page is fine or simply not there.

    Raises:
        TargetError: it is broken, and how.
    """
    if look.drains:
        return
    reply = look.get(METRICS)
    if (wrong := _wrong(reply)) and reply.status not in _OFF:
        raise TargetError(f"{look.endpoint.base_url}{METRICS.path} {wrong}", hint=_HINT)


def _wrong(reply: Reply) -> str:
    if reply.status == 0:
        return "does not send a page within the time that a scrape may take"
    if not reply.whole:
        return "is longer than a metrics page can be"
    if reply.status in range(300, 400):
        return (
            f"redirects to {reply.headers.get('location', 'nowhere')[:200]!r}, which is not asked"
        )
    if reply.status != HTTPStatus.OK:
        return f"answers with HTTP {reply.status}"
    if reply.is_page or not families(reply.text()):
        return f"is no metrics page ({reply.content_type or 'without a content type'})"
    return ""

"""A metrics address that the user gives: whose metrics are there?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.metric_prefixes import servers_of
from costaudit.ground.errors import TargetError
from costaudit.record.meters.prometheus_text import families
from costaudit.record.servers.fetch import fetch
from costaudit.record.servers.found import MetricsSource

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look


def given_source(url: str, look: Look, version: str) -> MetricsSource:
    """The metrics at `url`, with the map that fits their names; secrets go only to our server.

    Raises:
        TargetError: nothing there, or nothing that costaudit knows.
        UsageError: it is no address.
    """
    from urllib.parse import urlsplit

    ours = urlsplit(url)[:2] == urlsplit(look.endpoint.base_url)[:2]
    headers = look.endpoint.headers if ours else {}
    verify = look.endpoint.verify_tls
    page = fetch(url, headers=headers, verify_tls=verify)
    names = families(page.text()) if page.ok else frozenset()
    servers = servers_of(names)
    if not servers:
        raise TargetError(
            f"no metrics of an LLM server at {url} (HTTP {page.status})",
            hint="open it in a browser: names like vllm:num_requests_running should be there",
        )
    return MetricsSource(
        url=url, servers=servers, version=version, headers=headers, verify_tls=verify
    )

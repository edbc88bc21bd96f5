"""A metrics address that the user gives: whose metrics are there?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError
from costaudit.record.meters.prometheus_text import families
from costaudit.record.servers.fetch import fetch
from costaudit.record.servers.found import MetricsSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costaudit.record.servers.look import Look

# Names begin so → whose rows of the metric map hold; the particular first.
_PREFIXES = {
    "ray_vllm": ("vllm-v1", "ray-serve-llm"),
    "nv_": ("triton-trtllm", "triton-vllm", "triton"),
    "vllm:": ("vllm-v1", "vllm-v0"),
    "sglang:": ("sglang",),
    "tgi_": ("tgi",),
    "llamacpp:": ("llamacpp",),
    "lmdeploy:": ("lmdeploy",),
    "trtllm_": ("trtllm-serve",),
    "dynamo_": ("dynamo",),
    "litellm_": ("litellm",),
    "gpu_cache_usage_perc": ("nim",),
}


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


def servers_of(names: Iterable[str]) -> tuple[str, ...]:
    """Whose rows of the metric map hold, by the names on a page; empty: nobody's."""
    found = tuple(names)
    return tuple(
        server
        for prefix, servers in _PREFIXES.items()
        if any(name.startswith(prefix) for name in found)
        for server in servers
    )

"""A first look at a server: each path is asked once at most, and what it said is kept."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from costaudit.facts.metric_map import spelled
from costaudit.ground.errors import CostauditError, TargetError
from costaudit.record.meters.prometheus_text import Exposition, families, read_exposition
from costaudit.record.servers import paths
from costaudit.record.servers.fetch import Reply, fetch
from costaudit.record.servers.unreachable import API_KEY_HINT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from costaudit.record.client.load import Endpoint
    from costaudit.record.servers.paths import Route

_REFUSED = {401, 403}
_SILENT = 0  # status of a path that did not answer while others did


class Look:
    """What a server says on the safe paths.

    `asked` counts the requests that were sent; `before` is called before each of them.
    """

    def __init__(self, endpoint: Endpoint, *, before: Callable[[], None] | None = None) -> None:
        self.endpoint = endpoint
        self._before = before
        self.asked = 0
        self._replies: dict[str, Reply] = {}

    def get(self, route: Route) -> Reply:
        """What a route says; status 0 where only this one does not answer.

        Raises:
            TargetError: the server as a whole cannot be reached.
        """
        return self._ask(self.endpoint.base_url + route.path, None)

    def post(self, route: Route, body: Mapping[str, Any]) -> Reply:
        """What a route that reads by POST says; as `get`."""
        return self._ask(self.endpoint.base_url + route.path, body)

    def beside(self, port: int, route: Route) -> Reply:
        """What another port of the same host says; status 0 where nothing listens."""
        base = urlsplit(self.endpoint.base_url)
        host = f"[{base.hostname}]" if ":" in (base.hostname or "") else base.hostname
        return self.whole(f"{base.scheme}://{host}:{port}{route.path}")

    def whole(self, url: str) -> Reply:
        """What an address of its own says; status 0 where nothing listens."""
        try:
            return self._ask(url, None)
        except CostauditError:
            self._replies[url] = Reply(url=url, status=_SILENT)
            return self._replies[url]

    @property
    def port(self) -> int:
        """The port of the base URL."""
        base = urlsplit(self.endpoint.base_url)
        return base.port or (443 if base.scheme == "https" else 80)

    @cached_property
    def models(self) -> tuple[dict[str, Any], ...]:
        """The entries of `/v1/models`; empty where there is no such list.

        Raises:
            TargetError: the server cannot be reached, or wants a key.
        """
        reply = self.get(paths.MODELS)
        if reply.status in _REFUSED:
            had_key = any(name.lower() == "authorization" for name in self.endpoint.headers)
            raise TargetError(
                f"{self.endpoint.base_url} refuses us (HTTP {reply.status}): "
                + ("the API key is not accepted" if had_key else "it wants an API key"),
                hint=API_KEY_HINT,
            )
        listed = reply.mapping().get("data")
        entries = listed if isinstance(listed, list) else []
        return tuple(entry for entry in entries if isinstance(entry, dict))

    @cached_property
    def owners(self) -> frozenset[str]:
        """`owned_by` of the listed models, in lower case."""
        return frozenset(str(entry.get("owned_by", "")).lower() for entry in self.models)

    @property
    def drains(self) -> bool:
        """`/metrics` of this server hands its data out once: never to be asked."""
        return bool(self.owners & {"tensorrt_llm", "trtllm", "trtllm-serve"})

    @cached_property
    def page(self) -> str:
        """The text of `/metrics`; "" where there is none, or where it must not be asked."""
        if self.drains:
            return ""
        reply = self.get(paths.METRICS)
        return reply.text() if reply.status == 200 and _is_page(reply) else ""  # noqa: PLR2004

    @cached_property
    def metrics(self) -> frozenset[str]:
        """Names on `/metrics`."""
        return families(self.page)

    def has_metric(self, *prefixes: str) -> bool:
        """Some metric begins with one of these, as the engine spells it or as Ray does."""
        return any(spelled(name).startswith(prefixes) for name in self.metrics)

    def labels_of(self, name: str) -> Mapping[str, str]:
        """The labels of an info metric's first series; empty where there is none."""
        found: Exposition = read_exposition(self.page, keep=lambda wire: spelled(wire) == name)
        return found.series[0].labels if found.series else {}

    def header(self, name: str) -> str:
        """A header of the answer to `/v1/models`."""
        return self.get(paths.MODELS).headers.get(name, "")

    def _ask(self, url: str, body: Mapping[str, Any] | None) -> Reply:
        if url not in self._replies:
            self.asked += 1
            if self._before is not None:
                self._before()
            try:
                self._replies[url] = fetch(
                    url,
                    headers=self.endpoint.headers if self._is_ours(url) else {},
                    post=body,
                    verify_tls=self.endpoint.verify_tls,
                )
            except CostauditError:
                if not self._answered():
                    raise
                self._replies[url] = Reply(url=url, status=_SILENT)
        return self._replies[url]

    def _answered(self) -> bool:
        return any(reply.status != _SILENT for reply in self._replies.values())

    def _is_ours(self, url: str) -> bool:
        """Same host and port: secrets go nowhere else."""
        return urlsplit(url)[:2] == urlsplit(self.endpoint.base_url)[:2]


def _is_page(reply: Reply) -> bool:
    """Text for a scraper, neither a page for people nor JSON."""
    kind = reply.content_type
    return kind.startswith("text/plain") or kind == "application/openmetrics-text" or not kind

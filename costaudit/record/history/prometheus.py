"""The HTTP API of Prometheus, as Thanos and Mimir have it too: bounded, and believed only checked.

Questions go as POST forms, since a question over many metrics is longer than an address may be.
Source: Prometheus' documentation, "HTTP API" (query, query_range, label values, error answers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.history.headers import HINT as HEADERS_HINT
from costaudit.record.servers.fetch import Reply, fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TIMEOUT_S = 120.0  # Prometheus' own limit of a query
MAX_BYTES = 64 << 20  # 1,000 replicas in a question of eight quantities fill some 3 MB
MAX_ROWS = 400_000
MAX_LABELS = 64
MAX_LABEL_CHARS = 1024
_FORM = "application/x-www-form-urlencoded"
_REFUSED = {401, 403}
_MISSING = 404
_TOO_MUCH = {413, 414, 422, 503, 504}
_SMALLER = "ask less: a shorter --window, or a --selector such as namespace=prod"
_ADDRESS_HINT = "like http://prometheus:9090; Mimir: https://host/prometheus; Thanos: its querier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One series of an answer: `points` are (Unix seconds, value), one for an instant question."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The last value."""
        return self.points[-1][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """One server that answers PromQL. `headers` may hold secrets: sent, never shown."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify_tls: bool = True
    timeout_s: float = TIMEOUT_S

    def instant(self, expression: str, *, at_s: float) -> list[Row]:
        """The value of an expression at a time, by series; no series where nothing matched.

        Raises:
            TargetError: no answer, a refusal, or an answer that is none of PromQL's.
        """
        data = self._asked("query", {"query": expression, "time": f"{at_s:.3f}"})
        return _rows(data, "vector")

    def over(self, expression: str, *, from_s: float, to_s: float, step_s: float) -> list[Row]:
        """The values of an expression each `step_s` from `from_s` to `to_s`; raises alike."""
        form = {
            "query": expression,
            "start": f"{from_s:.3f}",
            "end": f"{to_s:.3f}",
            "step": f"{step_s:g}",
        }
        return _rows(self._asked("query_range", form), "matrix")

    def names(self, matchers: Iterable[str], *, from_s: float, to_s: float) -> list[str]:
        """Names of the metrics that some series selected by `matchers` has; raises as `instant`."""
        form = {
            "match[]": list(matchers),
            "start": f"{from_s:.3f}",
            "end": f"{to_s:.3f}",
        }
        url = f"{self.url}/api/v1/label/__name__/values?{urlencode(form, doseq=True)}"
        data = self._data(self._fetch(url, None))
        return [name for name in data if isinstance(name, str)] if isinstance(data, list) else []

    def _asked(self, what: str, form: Mapping[str, str]) -> Any:
        body = urlencode({**form, "timeout": f"{self.timeout_s:.0f}s"}).encode()
        return self._data(self._fetch(f"{self.url}/api/v1/{what}", body))

    def _fetch(self, url: str, body: bytes | None) -> Reply:
        return fetch(
            url,
            headers=self.headers,
            post=body,
            content_type=_FORM,
            verify_tls=self.verify_tls,
            timeout_s=self.timeout_s,
            max_bytes=MAX_BYTES,
        )

    def _data(self, reply: Reply) -> Any:
        """What a good answer holds."""
        told = reply.json()
        answer = told if isinstance(told, dict) else {}
        if reply.ok and answer.get("status") == "success":
            return answer.get("data")
        raise self._refusal(reply, answer)

    def _refusal(self, reply: Reply, answer: Mapping[str, Any]) -> TargetError:
        where = f"the Prometheus at {self.url}"
        if reply.status in _REFUSED:
            return TargetError(f"{where} refuses us (HTTP {reply.status})", hint=HEADERS_HINT)
        if not reply.whole:
            size = f"{MAX_BYTES >> 20} MiB"
            return TargetError(f"the answer of {where} is longer than {size}", hint=_SMALLER)
        said = " ".join(str(answer.get("error", "")).split())[:300]
        if said:
            hint = _SMALLER if reply.status in _TOO_MUCH else ""
            return TargetError(f"{where} cannot answer: {said}", hint=hint)
        if reply.status in _TOO_MUCH:
            return TargetError(f"{where} gives up (HTTP {reply.status})", hint=_SMALLER)
        what = "has no query API" if reply.status in {200, _MISSING} else f"says {reply.status}"
        return TargetError(f"{where} {what}", hint=_ADDRESS_HINT)


def open_prometheus(url: str, headers: Mapping[str, str], *, verify_tls: bool = True) -> Prometheus:
    """A Prometheus by the address as people give it: with or without a scheme or the API's path.

    Raises:
        UsageError: it is no http(s) address, or holds a password.
    """
    given = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError as err:
        raise UsageError(f"{url!r} is no address: {err}", hint=_ADDRESS_HINT) from err
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{url!r} is no http(s) address", hint=_ADDRESS_HINT)
    if parts.username is not None or parts.password is not None:
        raise UsageError("the address holds a user or a password", hint=HEADERS_HINT)
    path = parts.path.rstrip("/")
    for tail in ("/graph", "/query", "/api/v1"):
        path = path.removesuffix(tail)
    base = urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))
    return Prometheus(url=base, headers=headers, verify_tls=verify_tls)


def _rows(data: Any, kind: str) -> list[Row]:
    """The series of an answer; what is no number, or not finite, is left out."""
    if not isinstance(data, dict) or data.get("resultType") != kind:
        raise TargetError(f"the Prometheus answers with no {kind}: is something else in between?")
    result = data.get("result")
    series = result if isinstance(result, list) else []
    if len(series) > MAX_ROWS:
        raise TargetError(f"the answer holds {len(series)} series", hint=_SMALLER)
    return [row for one in series if (row := _row(one, kind)) is not None]


def _row(one: Any, kind: str) -> Row | None:
    if not isinstance(one, dict):
        return None
    pairs = [one.get("value")] if kind == "vector" else one.get("values")
    points = _points(pairs) if isinstance(pairs, list) else ()
    labels = one.get("metric")
    if not points or not isinstance(labels, dict) or len(labels) > MAX_LABELS:
        return None
    texts = {str(key)[:MAX_LABEL_CHARS]: str(value) for key, value in labels.items()}
    return Row(labels={k: _printable(v) for k, v in texts.items()}, points=points)


def _points(pairs: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    found = []
    for pair in pairs:
        if isinstance(pair, list) and len(pair) == 2:  # noqa: PLR2004 - [time, "value"]
            try:
                time_s, value = float(pair[0]), float(pair[1])
            except (TypeError, ValueError, OverflowError):
                continue
            if math.isfinite(time_s) and math.isfinite(value):
                found.append((time_s, value))
    return tuple(found)


def _printable(text: str) -> str:
    """A label's value fit for a terminal: no control characters, not endless."""
    text = text[:MAX_LABEL_CHARS]
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)

"""What a family of engines has to say: how it is recognised, and what it exports of itself."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Protocol

from costaudit.record.servers import engines as here
from costaudit.record.servers.found import UNKNOWN, MetricsSource
from costaudit.record.servers.paths import METRICS
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.dialects.dialect import Dialect
    from costaudit.record.servers.found import TokenizeRoute
    from costaudit.record.servers.look import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a server of a family says of itself; the fields are those of `found.Found`.

    `weights_name` is the model behind the served name; "" the same. `no_metrics` says why there are
    none, where there are none.
    """

    version: str = ""
    weights_name: str = ""
    dtype: str = ""
    dialect: Dialect
    chat: Dialect | None = None
    metrics: MetricsSource | None = None
    tokenize: TokenizeRoute | None = None
    max_context_tokens: Value = UNKNOWN
    parallelism: Mapping[str, Value] = field(default_factory=dict)
    kv: Mapping[str, Value] = field(default_factory=dict)
    knobs: Mapping[str, Value] = field(default_factory=dict)
    vocab_tokens: Value = UNKNOWN
    notes: tuple[str, ...] = ()
    no_metrics: str = ""


class Family(Protocol):
    """A family of engines. `rank` orders recognition: the particular before the general."""

    name: str
    rank: int

    def known_by(self, look: Look) -> str:
        """The evidence in what every server is asked: models, metrics, headers; "" none."""

    def asked_by(self, look: Look) -> str:
        """The evidence on the family's own paths; "" none. May send one request."""

    def served(self, look: Look) -> tuple[str, ...]:
        """Names of the models it serves, as requests call them."""

    def describe(self, look: Look, model: str) -> Described:
        """What it says of itself and of one model."""


@cache
def families() -> tuple[Family, ...]:
    """All families in their order, one per file of `engines/`, found by being there."""
    modules = (
        importlib.import_module(f"{here.__name__}.{found.name}")
        for found in pkgutil.iter_modules(here.__path__)
    )
    return tuple(sorted((module.FAMILY for module in modules), key=lambda family: family.rank))


def scrape(look: Look, *servers: str, version: str = "") -> MetricsSource:
    """The page at `/metrics`, read by the map of these servers."""
    return MetricsSource(
        url=look.endpoint.base_url + METRICS.path,
        servers=servers,
        version=version,
        headers=look.endpoint.headers,
        verify_tls=look.endpoint.verify_tls,
    )


def listed(look: Look) -> tuple[str, ...]:
    """The ids in `/v1/models`."""
    return tuple(str(entry["id"]) for entry in look.models if entry.get("id"))


def entry(look: Look, model: str) -> Mapping[str, object]:
    """The entry of a model in `/v1/models`; empty where it is not listed."""
    return next((found for found in look.models if found.get("id") == model), {})


def exported(value: object, why: str = "") -> Value:
    """A value that the server says itself; unknown where it says none.

    Text of a label ("None", "True", "0.9") is read as what it stands for.
    """
    if isinstance(value, str):
        value = _read(value)
    if isinstance(value, (bool, int, float, str)) and value != "":
        return Value(value=value, origin=Origin.EXPORTED, why=why)
    return UNKNOWN


def known(values: Mapping[str, Value]) -> dict[str, Value]:
    """Those that are known."""
    return {name: value for name, value in values.items() if value.value is not None}


def _read(text: str) -> object:
    words: dict[str, object] = {"none": None, "null": None, "true": True, "false": False}
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text.strip()

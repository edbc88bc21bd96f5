"""What a passively read server is: its engine, its settings, and where its metrics are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.facts.metric_prefixes import servers_of
from costaudit.ground.errors import TargetError, UsageError, did_you_mean
from costaudit.record.servers.discovery import settings
from costaudit.record.servers.family import families
from costaudit.record.servers.found import Given, MetricsSource
from costaudit.record.servers.metrics_source import given_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.servers.family import Described, Family
    from costaudit.record.servers.look import Look
    from costaudit.target.target import Value

_SEVERAL = "it serves {names}: their numbers are added up; choose one by --model"
_UNKNOWN_HINT = "give its metrics by --metrics-url, its engine by --engine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A server to look at. `source` is None where it has no metrics, and `notes` says why."""

    engine: str
    source: MetricsSource | None
    version: str = ""
    model: str = ""
    knobs: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def subject_of(look: Look, *, model: str | None, given: Given) -> Subject:
    """The server behind a look, by what it is recognised by.

    Raises:
        TargetError: it cannot be reached, or is none that costaudit knows.
        UsageError: it has no such model, or there is no such engine.
    """
    family = _family(look, given)
    if family is None:
        return _by_names(look)
    served = family.served(look)
    if model is not None and served and model not in served:
        raise UsageError(f"the server has no model {model!r}", hint=did_you_mean(model, served))
    name = model or (served[0] if served else "")
    told = family.describe(look, name)
    alone = model is not None or len(served) < 2  # noqa: PLR2004 - several
    source = told.metrics if alone or told.metrics is None else replace(told.metrics, labels={})
    notes = list(told.notes) if alone else [_SEVERAL.format(names=", ".join(served[:5]))]
    if given.metrics_url is not None:
        source = given_source(given.metrics_url, look, told.version)
    elif source is None and told.no_metrics:
        notes.append(told.no_metrics)
    return Subject(
        engine=family.name,
        source=source,
        version=told.version,
        model=name if alone else "",
        knobs=_knobs(family.name, told, given),
        notes=tuple(notes),
    )


def _family(look: Look, given: Given) -> Family | None:
    known = {family.name: family for family in families()}
    if given.engine is not None:
        if given.engine not in known:
            hint = did_you_mean(given.engine, known)
            raise UsageError(f"there is no engine {given.engine!r}", hint=hint)
        return known[given.engine]
    for family in known.values():
        if family.known_by(look):
            return family if family.name != "triton" or family.asked_by(look) else None
    if look.metrics and servers_of(look.metrics):
        return None
    return next((family for family in known.values() if family.asked_by(look)), None)


def _by_names(look: Look) -> Subject:
    """A bare page of metrics (a metrics port, an exporter, a saved page), by its names."""
    servers = servers_of(look.metrics)
    base = look.endpoint.base_url
    if not servers:
        raise TargetError(
            f"{base} is no LLM server that costaudit knows, and has no metrics of one",
            hint=_UNKNOWN_HINT,
        )
    source = MetricsSource(
        url=f"{base}/metrics",
        servers=servers,
        headers=look.endpoint.headers,
        verify_tls=look.endpoint.verify_tls,
    )
    engine = "triton" if servers[0].startswith("triton") else servers[0].removesuffix("-v1")
    return Subject(engine=engine, source=source)


def _knobs(engine: str, told: Described, given: Given) -> dict[str, Value]:
    knobs = settings(engine, told, given)
    knobs |= {f"kv_{name}": value for name, value in told.kv.items()}
    knobs |= {f"{name}_parallel": value for name, value in told.parallelism.items()}
    if told.max_context_tokens.value is not None:
        knobs["max_model_len"] = told.max_context_tokens
    return knobs

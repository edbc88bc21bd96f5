"""Finds out what a server is, without restarting it and without generating a token.

At most a handful of requests, all of them on the list in `paths`. Each value says how it is known:
told by the server, by the user, by the defaults of its version, or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from costaudit.facts.server_defaults import server_defaults
from costaudit.ground.errors import TargetError, UsageError, did_you_mean
from costaudit.record.dialects.load import dialect
from costaudit.record.servers import paths
from costaudit.record.servers.address import base_of
from costaudit.record.servers.canary import canary
from costaudit.record.servers.family import families
from costaudit.record.servers.found import Canary, Found, Given, MetricsSource
from costaudit.record.servers.look import Look
from costaudit.record.servers.metrics_source import given_source
from costaudit.record.servers.naming import chosen, is_here, shape_of
from costaudit.record.servers.unreachable import USUAL_PORTS
from costaudit.target.target import Origin, Target, Value

if TYPE_CHECKING:
    from costaudit.record.client.load import Endpoint
    from costaudit.record.dialects.dialect import Dialect
    from costaudit.record.servers.family import Described, Family
    from costaudit.target.shape import ModelShape

__all__ = ["Canary", "Found", "Given", "MetricsSource", "canary", "discover"]

_ENGINE_HINT = f"name the engine by --engine if it is one; {USUAL_PORTS}"
_TRITON_METRICS_ONLY = "this is Triton's metrics port; its HTTP port is 8000 unless told otherwise"


def discover(endpoint: Endpoint, *, model: str | None, given: Given) -> Found:
    """What this server is.

    Raises:
        TargetError: it cannot be reached, refuses us, or is no LLM server that we know.
        UsageError: the address, the engine, the dialect or the model is none; or which model of
            several is not said.
    """
    base, notes = base_of(endpoint.base_url)
    look, moved = _look_at(replace(endpoint, base_url=base))
    family, evidence = _family(look, given)
    name = chosen(model, family.served(look), look)
    told = family.describe(look, name)
    names = [n for n in (name, told.weights_name) if n]
    local = is_here(look.endpoint.base_url)
    shape, why = shape_of(names, given.model_config, local=local)
    metrics, silent = _metrics(family, told, look, name, given)
    return Found(
        endpoint=look.endpoint,
        target=_target(family.name, name, told, shape, given),
        model=name,
        dialect=_dialect(told, given),
        chat=told.chat,
        metrics=metrics,
        tokenize=told.tokenize,
        weights_name=told.weights_name,
        max_context_tokens=_context(told, shape),
        parallelism=told.parallelism,
        kv=told.kv,
        vocab_tokens=told.vocab_tokens,
        notes=(*notes, *moved, *told.notes, *silent, f"shape of the model: {why}"),
        evidence=(evidence, f"{look.asked} requests"),
    )


def _target(
    engine: str, model: str, told: Described, shape: ModelShape | None, given: Given
) -> Target:
    return Target(
        kind="server",
        engine=engine,
        engine_version=told.version,
        model=model,
        weights="",
        dtype=told.dtype,
        shape=shape,
        knobs=settings(engine, told, given),
    )


def _metrics(
    family: Family, told: Described, look: Look, model: str, given: Given
) -> tuple[MetricsSource | None, tuple[str, ...]]:
    """The family's source or the given one, and a note where there is none."""
    if given.metrics_url is None:
        missing = told.metrics is None and told.no_metrics
        return told.metrics, (told.no_metrics,) if missing else ()
    source = given_source(given.metrics_url, look, told.version)
    return replace(source, labels={"model": model} if family.name == "triton" else {}), ()


def _look_at(endpoint: Endpoint) -> tuple[Look, tuple[str, ...]]:
    """The server at the address, or at the root of its host where only that has an API."""
    look = Look(endpoint)
    parts = urlsplit(endpoint.base_url)
    if look.models or not parts.path:
        return look, ()
    reply = look.get(paths.MODELS)
    if reply.status != 404 and not reply.is_page:  # noqa: PLR2004 - HTTP's own number
        return look, ()
    root = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    there = Look(replace(endpoint, base_url=root))
    if not there.models and not there.page:
        return look, ()
    return there, (f"{endpoint.base_url} has no API: {root} is taken",)


def _family(look: Look, given: Given) -> tuple[Family, str]:
    known = {family.name: family for family in families()}
    if given.engine is not None:
        if given.engine not in known:
            raise UsageError(
                f"there is no engine {given.engine!r}", hint=did_you_mean(given.engine, known)
            )
        return known[given.engine], "given by the user"
    for family in known.values():
        if evidence := family.known_by(look):
            if family.name == "triton" and not family.asked_by(look):
                raise TargetError(
                    f"{look.endpoint.base_url} has Triton's metrics only", hint=_TRITON_METRICS_ONLY
                )
            return family, evidence
    for family in known.values():
        if evidence := family.asked_by(look):
            return family, evidence
    reply = look.get(paths.MODELS)
    said = "answers with a page for people" if reply.is_page else "answers"
    secure = b"https" in reply.body.lower() and look.endpoint.base_url.startswith("http:")
    hint = "try https:// for http://" if secure else _ENGINE_HINT
    raise TargetError(
        f"{look.endpoint.base_url} {said}, but is no LLM server that costaudit knows", hint=hint
    )


def _dialect(told: Described, given: Given) -> Dialect:
    for one in (told.dialect, told.chat):
        if one is not None and given.dialect == one.name:
            return one
    return told.dialect if given.dialect is None else dialect(given.dialect)


def settings(engine: str, told: Described, given: Given) -> dict[str, Value]:
    """Given by the user, else told by the server, else the default of its version."""
    knobs: dict[str, Value] = {}
    defaults = server_defaults(
        engine, version=told.version, gpu=given.gpu, gpu_memory_bytes=given.gpu_memory_bytes
    )
    for default in defaults:
        origin = Origin.UNKNOWN if default.value is None else Origin.DEFAULT
        knobs[default.knob] = Value(value=default.value, origin=origin, why=default.why)
    knobs |= told.knobs
    return knobs | given_knobs(given)


def _context(told: Described, shape: ModelShape | None) -> Value:
    """What the server says, else what the model was made for."""
    if told.max_context_tokens.value is not None or shape is None:
        return told.max_context_tokens
    why = "the model's configuration; the server does not tell its own limit"
    return Value(value=shape.max_context_tokens, origin=Origin.DEFAULT, why=why)


def given_knobs(given: Given) -> dict[str, Value]:
    """The settings that the user gives."""
    return {name: Value(value=value, origin=Origin.GIVEN) for name, value in given.knobs.items()}

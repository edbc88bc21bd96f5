"""Opens a server for an audit: what it is, whether it answers, and which meters watch it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.facts.gpus import gpu_spec
from costaudit.ground.errors import UsageError
from costaudit.probe.workload import load_workload
from costaudit.record.about import about_software
from costaudit.record.meters.neighbours import open_neighbours
from costaudit.record.meters.server_metrics import open_server_metrics
from costaudit.record.probing.devices import device_facts
from costaudit.record.probing.endpoint import endpoint_of
from costaudit.record.probing.guard import Guard
from costaudit.record.probing.knobs import named_target
from costaudit.record.probing.probing import WAITING, Probing
from costaudit.record.probing.spending import priced
from costaudit.record.servers.discovery import canary, discover
from costaudit.record.servers.found import Given
from costaudit.record.servers.prompts import PromptMaker
from costaudit.recording.rows import Fact, Instrument
from costaudit.recording.target_facts import target_facts, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.record.meters.meter import Meter
    from costaudit.record.meters.server_metrics import ServerMetrics
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.servers.found import Canary, Found
    from costaudit.recording.recording import Recording
    from costaudit.target.target import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A server ready to be probed: what is to be written down of it, and its open meters."""

    probing: Probing
    meters: Sequence[Meter]
    rows: Sequence[Fact | Instrument]


def attach(recording: Recording, options: ServerOptions) -> Attached:
    """Find the server out, send it one small request, and open its meters.

    Raises:
        TargetError: it cannot be reached, refuses us, or does not answer.
        UsageError: a flag is wrong, no model of that name is served, or, when going on, another
            model answers.
    """
    from costaudit.record.client.run import run_rung

    found = find(options)
    limits = priced(options.limits, model=found.model, base_url=found.endpoint.base_url)
    options = replace(options, limits=limits)
    answered = canary(found)
    found = answered.found
    _check_same(recording, found)
    meters, absent, metrics = _meters(found)
    level: Callable[[str], float | None] = _untold if metrics is None else metrics.last
    probing = Probing(
        recording=recording,
        options=options,
        workload=load_workload(options.probe),
        found=found,
        prompts=PromptMaker.of(found, tokenizer=given_of(options).tokenizer, seed=options.seed),
        client=partial(run_rung, found.endpoint, found.dialect),
        guard=_guard(recording, options, lambda: level(WAITING)),
        level=level,
        asked_s=None if metrics is None else metrics.asked_s,
    )
    rows: tuple[Fact | Instrument, ...] = (*_facts(options, answered), *about_software(), *absent)
    return Attached(probing=probing, meters=meters, rows=rows)


def _guard(
    recording: Recording, options: ServerOptions, waiting: Callable[[], float | None]
) -> Guard:
    """Limits are of the whole run: what was asked for before it was gone on with counts."""
    before = recording.answers()
    return Guard(
        limits=options.limits,
        waiting=waiting,
        requests=len(before),
        prompt_tokens=sum(answer.prompt_tokens or 0 for answer in before),
        output_tokens=sum(answer.asked_tokens for answer in before),
    )


def find(options: ServerOptions) -> Found:
    """What the server is; nothing is generated.

    Raises:
        TargetError, UsageError: as for `attach`.
    """
    return discover(endpoint_of(options), model=options.model, given=given_of(options))


def given_of(options: ServerOptions) -> Given:
    """What the user says of the server; some engines' defaults depend on the GPU."""
    spec = gpu_spec(options.gpu) if options.gpu else None
    return Given(
        gpu=options.gpu or "",
        gpu_memory_bytes=spec.memory_gb * 1e9 if spec else None,
        engine=options.engine,
        dialect=options.dialect,
        model_config=Path(options.model_config) if options.model_config else None,
        tokenizer=Path(options.tokenizer) if options.tokenizer else None,
        metrics_url=options.metrics_url,
        knobs=options.knobs,
    )


def _check_same(recording: Recording, found: Found) -> None:
    facts = recording.facts()
    if "target" in facts and target_of(facts).model != found.target.model:
        raise UsageError(
            f"{recording.path} was recorded of {target_of(facts).model},"
            f" the server answers as {found.target.model} now"
        )


def _meters(
    found: Found,
) -> tuple[Sequence[Meter], Sequence[Instrument], ServerMetrics | None]:
    """Its own metrics and its cores, or why they are not read; and the former by themselves."""
    opened = (open_server_metrics(found.metrics), open_neighbours(found.endpoint.base_url))
    meters = [meter for meter in opened if not isinstance(meter, Instrument)]
    absent = [meter for meter in opened if isinstance(meter, Instrument)]
    metrics = opened[0]
    return meters, absent, None if isinstance(metrics, Instrument) else metrics


def _untold(_: str) -> None:
    """The latest value of a quantity, where no metrics are read."""


def _facts(options: ServerOptions, answered: Canary) -> tuple[Fact, ...]:
    found = answered.found
    dtype = options.dtype or found.target.dtype
    told = {name: value for name, value in asdict(answered).items() if name != "found"}
    limits = asdict(options.limits)
    return (
        *target_facts(named_target(found)),
        *device_facts(options, dtype),
        *(_valued("kv", name, value) for name, value in found.kv.items()),
        *(_valued("parallelism", name, value) for name, value in found.parallelism.items()),
        _valued("server", "max_context_tokens", found.max_context_tokens),
        Fact(subject="server", name="base_url", value=found.endpoint.base_url),
        Fact(subject="server", name="dialect", value=found.dialect.name),
        Fact(subject="server", name="notes", value=list(found.notes)),
        Fact(subject="server", name="evidence", value=list(found.evidence)),
        Fact(subject="server", name="canary", value=told),
        Fact(subject="server", name="limits", value=limits),
    )


def _valued(subject: str, name: str, value: Value) -> Fact:
    return Fact(
        subject=subject, name=name, value=value.value, origin=str(value.origin), why=value.why
    )

"""Derives all metrics of a recording; pure, from the file alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval
from costaudit.measure.counters import counters_of, with_counters
from costaudit.measure.device_course import with_course
from costaudit.measure.groups import device_metrics, kv_metrics, workload_metrics
from costaudit.measure.metrics import Metrics
from costaudit.measure.phases import (
    Precision,
    decode_work,
    percentiles,
    phase_metrics,
    prefill_work,
    roofline,
    summarised,
)
from costaudit.measure.reading import Reading, is_number
from costaudit.measure.steps import TimedLoad, attached_steps, reduce_rounds, thinned
from costaudit.measure.tables import MOST_STEPS, Tables, read_tables
from costaudit.recording.rows import Phase
from costaudit.recording.target_facts import target_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.measure.metrics import DeviceMetrics, Percentiles, PhaseMetrics
    from costaudit.recording.drawn import Lengths, PhaseWindow
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import RequestRow
    from costaudit.target.target import Target

ELEMENT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "float8_e4m3fn": 1.0}
# A weight by the format that the model was put into; int4: in groups of 128 with 32 bits each.
QUANTIZED_BYTES = {"int8": 1.0, "fp8": 1.0, "int8-weights": 1.0, "int4-weights": 0.5 + 4 / 128}
LATENCY = {Phase.PREFILL: "ttft_s", Phase.DECODE: "itl_s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """Metrics, the steps to fit, and the requests of the audited window.

    Of a long window `requests` are drawn; `drawn_share` is their part of all its tokens.
    """

    metrics: Metrics
    steps: tuple[TimedLoad, ...]
    requests: tuple[RequestRow, ...]
    precision: Precision
    drawn_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What a phase is derived from.

    Of many samples `steps` and `requests` are drawn; `shown` are the steps with the fastest and the
    slowest of all among them, which no fit of a few should hang on; `lengths` are of all requests.
    """

    reading: Reading
    target: Target
    precision: Precision
    device: DeviceMetrics
    steps: tuple[TimedLoad, ...]
    shown: tuple[TimedLoad, ...]
    window: Mapping[Phase, PhaseWindow]
    requests: Sequence[RequestRow]
    lengths: Lengths


def derive(
    recording: Recording, *, most_requests: int | None = None, tables: Tables | None = None
) -> Derived:
    """All metrics of a recording; of more than `most_requests` requests about so many are drawn.

    `tables` are those of the recording, where they have been read already.

    Raises:
        UsageError: the recording does not describe its target.
        InconclusiveError: it ended before its workload was run, or the dtype's size is unknown.
    """
    reading = Reading(facts=recording.facts())
    target = target_of(reading.facts)
    precision = _precision(target, reading)
    tables = tables or read_tables(recording, most_requests=most_requests)
    if not tables.window or not tables.requests:
        raise InconclusiveError(
            f"{recording.path} ended before its workload was run, so there is nothing to bill",
            hint=f"costaudit profile --resume {recording.path}",
        )
    steps, shown = _steps(tables)
    source = _Source(
        reading=reading,
        target=target,
        precision=precision,
        device=with_course(device_metrics(reading), recording),
        steps=steps,
        shown=shown,
        window=tables.window,
        requests=tuple(tables.requests),
        lengths=tables.lengths,
    )
    return Derived(
        metrics=_metrics(source),
        steps=source.steps,
        requests=tuple(source.requests),
        precision=precision,
        drawn_share=_tokens(source.requests) / max(source.lengths.tokens, 1),
    )


def _steps(tables: Tables) -> tuple[tuple[TimedLoad, ...], tuple[TimedLoad, ...]]:
    """The steps to fit, and those to show."""
    if tables.attached:
        steps = attached_steps(tables.samples)
        return steps, (*steps, *attached_steps(tables.ends))
    steps = thinned(reduce_rounds(tables.samples), MOST_STEPS)
    return steps, reduce_rounds([*tables.samples, *tables.ends]) if tables.ends else steps


def _tokens(requests: Sequence[RequestRow]) -> int:
    return sum(r.prompt_tokens + r.output_tokens for r in requests)


def _precision(target: Target, reading: Reading) -> Precision:
    """Bytes of a weight by the target's dtype; of a cache element as the tensors hold it."""
    weight = ELEMENT_BYTES.get(target.dtype)
    quantized = target.knobs.get("quantization")
    if quantized is not None:
        weight = QUANTIZED_BYTES.get(str(quantized.value), weight)
    if weight is None:
        raise InconclusiveError(f"the size of a {target.dtype} weight is not known to costaudit")
    element = reading.fact("kv", "element_bytes")
    known = element.value if element is not None else None
    return Precision(
        param_bytes=weight,
        kv_element_bytes=float(known) if is_number(known) else weight,
    )


def _metrics(source: _Source) -> Metrics:
    return Metrics(
        target=source.target,
        device=source.device,
        workload=workload_metrics(source.reading, source.lengths),
        prefill=_phase(Phase.PREFILL, source),
        decode=_phase(Phase.DECODE, source),
        kv=kv_metrics(source.reading),
        paid_device_s=_paid(source),
        unknown=source.reading.unknown,
    )


def _phase(phase: Phase, source: _Source) -> PhaseMetrics:
    ran = source.window.get(phase)
    useful_work = prefill_work if phase is Phase.PREFILL else decode_work
    shape = source.target.known_shape
    useful = useful_work(
        shape,
        source.precision,
        source.requests,
        ran.steps if ran else 0,
        tokens=source.lengths.computed(phase),
    )
    metrics = phase_metrics(
        useful,
        fastest_s(source.reading, source.window, phase),
        source.device,
        _latency(phase, source),
    )
    path, unknown = f"phases.{phase}", source.reading.unknown
    unknown[f"{path}.{LATENCY[phase]}"] = f"{metrics.latency_s.samples} samples are too few for it"
    unknown[f"{path}.tokens_per_s"] = "no step of this phase was run"
    for share in ("mfu", "mbu"):
        unknown[f"{path}.{share}"] = "the device's peak or this phase's time is not known"
    counters = counters_of(source.reading, phase, source.steps, shape, source.precision)
    metrics = with_counters(metrics, phase, counters)
    return replace(metrics, roofline=roofline(shape, source.precision, source.shown, phase))


def _latency(phase: Phase, source: _Source) -> Percentiles:
    if phase is Phase.PREFILL:
        return percentiles(source.lengths.ttft_s)
    return summarised(source.reading.table("replay", "itl_s"), _gaps_s(source))


def _gaps_s(source: _Source) -> list[float]:
    """Seconds between two tokens in each batch's fastest round, for each request that waited."""
    fastest: dict[str, list[float]] = {}
    for name, fact in source.reading.facts.get("replay", {}).items():
        batch, _, one = name.partition("#")
        if one and isinstance(fact.value, list) and fact.value:
            fastest[batch] = min(fastest.get(batch, fact.value), fact.value, key=lambda t: t[-1])
    gaps = []
    for request in source.requests:
        at_s = fastest.get(f"token_s/replay-{request.batch}", [])
        gaps += [b - a for a, b in pairwise(at_s[: request.output_tokens])]
    return gaps


def fastest_s(reading: Reading, window: Mapping[Phase, PhaseWindow], phase: Phase) -> float:
    """Device seconds of a phase over the window, without disturbances.

    The sum of each step's fastest round where steps were stamped one by one, else the sum of each
    span's fastest round.
    """
    stamped = reading.table("replay", "envelope_s")
    if stamped:
        return sum(float(batch[phase]) for batch in stamped.values())
    return window[phase].fastest_s if phase in window else 0.0


def _paid(source: _Source) -> Interval:
    """Device seconds of the window once: as fast as it was seen to go, and the mean round."""
    fastest = sum(fastest_s(source.reading, source.window, phase) for phase in Phase)
    mean = sum(ran.mean_s for ran in source.window.values())
    return Interval(low=fastest, high=max(fastest, mean))

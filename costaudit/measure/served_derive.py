"""Derives the metrics of a server's recording: what its answers and its own counters say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval
from costaudit.measure.derive import Derived
from costaudit.measure.groups import device_metrics, workload_metrics
from costaudit.measure.metrics import KvMetrics, Metrics, PhaseMetrics
from costaudit.measure.neighbours import replay_neighbours
from costaudit.measure.phases import Precision, percentiles, roofline
from costaudit.measure.pressure import pressure, replay_waste_share
from costaudit.measure.reading import Reading, is_number
from costaudit.measure.rungs import replay_span
from costaudit.measure.served import Replayed, gaps_s, served_replay, served_steps, ttft_s
from costaudit.measure.server import ServerSpan
from costaudit.recording.drawn import Lengths
from costaudit.recording.rows import Phase
from costaudit.recording.target_facts import target_of
from costaudit.target.work import kv_bytes_per_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.ground.steady import Rate
    from costaudit.measure.steps import TimedLoad
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import RequestRow
    from costaudit.target.target import Target

ELEMENT_BYTES = {
    **dict.fromkeys(("float32", "fp32"), 4.0),
    **dict.fromkeys(("bfloat16", "float16", "bf16", "fp16", "half"), 2.0),
    **dict.fromkeys(("float8_e4m3fn", "fp8", "fp8_e4m3", "fp8_e5m2", "int8"), 1.0),
}
ASSUMED_BYTES = 2.0  # 16-bit weights, as nearly every server runs that was not told otherwise
MODELLED = "T2: bytes by formula over modelled time of the phase"
AFTER_FIT = "a server does not tell how long it prefilled and decoded; the fit splits its time"


def derive_served(recording: Recording) -> Derived:
    """All metrics of a server's recording.

    Raises:
        UsageError: the recording does not describe its target.
        InconclusiveError: it ended before its workload was replayed long enough to be billed.
    """
    reading = Reading(facts=recording.facts())
    target = target_of(reading.facts)
    replayed = served_replay(recording)
    if replayed is None or replayed.rate is None:
        raise _too_early(recording)
    steps, half = served_steps(recording), replayed.rate.half_share
    span = replay_span(recording)
    paid_s = _paid_s(reading, replayed.requests, replayed.rate)
    precision = _precision(target, reading)
    metrics = Metrics(
        target=target,
        device=device_metrics(reading),
        workload=workload_metrics(reading, Lengths.of(replayed.requests)),
        prefill=_phase(Phase.PREFILL, target, precision, steps, replayed),
        decode=_phase(Phase.DECODE, target, precision, steps, replayed),
        kv=_kv(recording, reading, target, precision, span),
        paid_device_s=Interval(
            low=paid_s / (1 + half) / (1 + _taken_share(recording)),
            high=paid_s / max(1 - half, 1e-3),
        ),
        paid_mean_s=paid_s,
        observed={"concurrency": _concurrency(reading)},
        unknown=reading.unknown,
    )
    _reasons(metrics, reading, exports=span is not None)
    return Derived(metrics=metrics, steps=steps, requests=replayed.requests, precision=precision)


def _taken_share(recording: Recording) -> float:
    """How much faster it might have been without others on its cores; 0 where nobody knows."""
    there = replay_neighbours(recording)
    return there.taken_share if there is not None else 0.0


def _too_early(recording: Recording) -> InconclusiveError:
    """Nothing to bill: a limit ended it, or something else, or the replay was too short."""
    facts = recording.facts()
    stopped = facts.get("server", {}).get("stopped")
    steady = facts.get("replay", {}).get("steady")
    if stopped is not None:
        why, hint = f": {stopped.value}", "allow more, and begin again"
    elif steady is not None:
        why = f" long enough: {steady.why or 'too little was answered'}"
        hint = "give it more time with --seconds, or a --probe with shorter answers"
    else:
        why, hint = ", so there is nothing to bill", f"costaudit profile --resume {recording.path}"
    return InconclusiveError(
        f"{recording.path} ended before its workload was replayed{why}", hint=hint
    )


def _precision(target: Target, reading: Reading) -> Precision:
    weight = ELEMENT_BYTES.get(target.dtype, ASSUMED_BYTES)
    return Precision(
        param_bytes=weight,
        kv_element_bytes=ELEMENT_BYTES.get(reading.text("kv", "dtype"), weight),
    )


def _phase(
    phase: Phase,
    target: Target,
    precision: Precision,
    steps: tuple[TimedLoad, ...],
    replayed: Replayed,
) -> PhaseMetrics:
    """Latencies as seen; rates need the fit, which tells the phases' time apart."""
    if phase is Phase.PREFILL:
        latencies = [s for a in replayed.answers if (s := ttft_s(a)) is not None]
    else:
        latencies = [gap for answer in replayed.answers for gap in gaps_s(answer)]
    shape = target.shape
    return PhaseMetrics(
        tokens_per_s=None,
        mfu=None,
        mbu=None,
        latency_s=percentiles(latencies),
        bound=None,
        device_s=0.0,
        bandwidth_tier=MODELLED,
        roofline=roofline(shape, precision, steps, phase) if shape is not None else (),
    )


def _paid_s(reading: Reading, requests: Sequence[RequestRow], rate: Rate) -> float:
    """Device-seconds of one cycle of the requests at the steady rate."""
    count = reading.fact("device", "count")
    devices = float(count.value) if count is not None and is_number(count.value) else 1.0
    return devices * sum(r.prompt_tokens + r.output_tokens for r in requests) / rate.per_s


def _concurrency(reading: Reading) -> float:
    told = reading.fact("workload", "concurrency")
    return float(told.value) if told is not None and is_number(told.value) else 1.0


def _kv(
    recording: Recording,
    reading: Reading,
    target: Target,
    precision: Precision,
    span: ServerSpan | None,
) -> KvMetrics:
    """The cache as the server exports it; bytes per token by formula where the shape is known."""
    told = span or ServerSpan(from_s=0.0, to_s=0.0, scrapes=0)
    formula = None
    if target.shape is not None:
        formula = kv_bytes_per_token(target.shape, precision.kv_element_bytes)
    tokens = reading.fact("kv", "tokens_total")
    total = reading.fact("kv", "bytes_total")
    exported = None
    if tokens and total and is_number(tokens.value) and is_number(total.value) and tokens.value:
        exported = float(total.value) / float(tokens.value)
    return KvMetrics(
        bytes_per_token=exported if exported is not None else formula,
        bytes_per_token_formula=formula,
        capacity_tokens=reading.whole("kv", "tokens_total", "kv_cache.capacity_tokens"),
        usage_peak_share=told.kv_usage_peak_share,
        waste_share=replay_waste_share(recording),
        preemptions=None if told.preemptions is None else round(told.preemptions),
        prefix_hit_share=told.prefix_hit_share,
        max_concurrency=reading.whole("kv", "max_concurrency", "kv_cache.max_concurrency"),
        pressure=pressure(recording, audited_streams=_concurrency(reading)),
    )


def _reasons(metrics: Metrics, reading: Reading, *, exports: bool) -> None:
    no_shape = "the model's shape is not known; give its config.json with --model-config"
    unknown = reading.unknown
    unknown["kv_cache.bytes_per_token"] = no_shape
    unknown["kv_cache.bytes_per_token_formula"] = no_shape
    silent = "the server's metrics do not tell" if exports else "the server exports no metrics"
    for name in ("usage_peak_share", "preemptions", "prefix_hit_share", "max_concurrency"):
        unknown[f"kv_cache.{name}"] = silent
    unknown["kv_cache.waste_share"] = (
        "its gauge of use was not read often enough while all requests that ran were ours"
        if exports
        else silent
    )
    kind = reading.fact("device", "kind")
    unknown["device.kind"] = kind.why if kind is not None else "the recording does not tell"
    capacity = reading.fact("kv", "tokens_total")
    told = capacity.why if capacity is not None else ""
    unknown["kv_cache.capacity_tokens"] = told or silent
    for phase, part in (("prefill", metrics.prefill), ("decode", metrics.decode)):
        samples = part.latency_s.samples
        name = "ttft_s" if phase == "prefill" else "itl_s"
        unknown[f"phases.{phase}.{name}"] = f"{samples} samples are too few for it"
        unknown[f"phases.{phase}.tokens_per_s"] = AFTER_FIT
        for share in ("mfu", "mbu", "bound"):
            unknown[f"phases.{phase}.{share}"] = (
                "the model's shape or the device's peaks are not known;"
                " give --model-config and --gpu"
            )

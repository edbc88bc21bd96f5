"""From a recording to its observation."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from dataclasses import asdict
from statistics import stdev
from typing import TYPE_CHECKING, Any

from costaudit.audit.prices import known_prices
from costaudit.contrast.counters import counters_of
from costaudit.contrast.observation import WINDOW, Observation, Unit
from costaudit.ground.stats import median
from costaudit.measure.derive import derive
from costaudit.measure.served_derive import derive_served
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Phase, Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from costaudit.measure.derive import Derived
    from costaudit.measure.metrics import Metrics
    from costaudit.recording.rows import Fact, RequestRow, Sample

SERVER = "server"
T95 = 2.262  # a server's interval is two-sided 95 % over ten batch means (ground/steady.py)
DIGEST = 12  # hexadecimal digits that tell two workloads or models apart
THREAD_TIME = "thread_time"
# Standard deviation of ln(seconds of the fastest rounds) per that of the machine's pace beside
# them: bench/gate.py on two busy cores, 0.063 at the best pace where looks at it spread by 0.17.
UNSETTLED = 0.37


def observe(
    path: Path, *, usd_per_device_h: float | None = None, today: dt.date | None = None
) -> Observation:
    """The observation of the recording at `path`; the price is the given one, else the book's.

    Raises:
        UsageError: it is no recording, or does not describe its target.
        InconclusiveError: it ended before its workload was run.
    """
    with Recording.read(path) as recording:
        served = recording.meta().get("kind") == SERVER
        derived = derive_served(recording) if served else derive(recording)
        metrics, window = derived.metrics, recording.samples(Role.REPLAY, Role.ATTACHED)
        prices = known_prices(
            metrics.device,
            given_usd=usd_per_device_h,
            reserved_usd=None,
            today=today or dt.datetime.now(dt.UTC).date(),
        )
        facts = recording.facts()
        return Observation(
            name=path.name,
            created=str(recording.meta().get("created", "")),
            clock="wall" if served else window[0].clock,
            environment=_environment(facts, derived),
            software=_software(facts, metrics),
            counters=counters_of(recording, derived, window),
            units=_units(facts, derived, window),
            latencies_s=_latencies_s(metrics),
            within_share=math.hypot(
                _within_share(metrics, window), UNSETTLED * _pace_spread(facts)
            ),
            contention_share=_contention_share(window),
            sm_clock_hz=_sm_clock_hz(recording),
            usd_per_device_h=prices[0].usd_per_device_h if prices else None,
            price_as_of=prices[0].as_of if prices else "",
        )


def digest(value: Any) -> str:
    """A short name for a value made of JSON's kinds."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST]


def _environment(facts: Mapping[str, Mapping[str, Fact]], derived: Derived) -> dict[str, str]:
    metrics = derived.metrics
    shape = asdict(metrics.target.shape) if metrics.target.shape else {}
    shape.pop("name", None)  # where a model lies does not change it
    workload = facts.get("workload", {})
    streams = workload.get("concurrency") or workload.get("batch_size")
    driver = facts.get("gpu", {}).get("driver")
    return {
        "device": metrics.device.name,
        "devices": str(metrics.device.count),
        "driver": str(driver.value) if driver is not None and driver.value else "",
        "model": digest([shape or metrics.target.model, metrics.target.dtype]),
        "workload": metrics.workload.probe,
        "scale": f"{metrics.workload.scale:.6g}",
        "streams": str(streams.value) if streams is not None else "",
    }


def _software(facts: Mapping[str, Mapping[str, Fact]], metrics: Metrics) -> dict[str, str]:
    versions = {name: str(fact.value) for name, fact in facts.get("versions", {}).items()}
    knobs = {f"knob {name}": str(knob.value) for name, knob in metrics.target.knobs.items()}
    engine = {metrics.target.engine: metrics.target.engine_version}
    return {**versions, **engine, **knobs}


def _units(
    facts: Mapping[str, Mapping[str, Fact]], derived: Derived, window: Sequence[Sample]
) -> dict[str, Unit]:
    """Batches by their lengths where they were run as such, else the whole window."""
    metrics, requests = derived.metrics, derived.requests
    envelope = facts.get("replay", {}).get("envelope_s")
    batches: dict[str, list[RequestRow]] = {}
    for row in requests:
        batches.setdefault(row.task, []).append(row)
    fastest = envelope.value if envelope is not None and isinstance(envelope.value, dict) else {}
    phases = {name: fastest.get(name) or _fastest(window, name) for name in batches}
    if metrics.target.kind == SERVER or not all(phases.values()):
        paid_s = metrics.paid_mean_s or metrics.paid_device_s.low
        return {WINDOW: _unit(requests, device_s=paid_s)}
    return {
        f"{name}/{digest([(r.prompt_tokens, r.output_tokens) for r in rows])}": _unit(
            rows,
            device_s=sum(phases[name].values()),
            prefill_s=phases[name].get(Phase.PREFILL),
            decode_s=phases[name].get(Phase.DECODE),
            pace_s=_pace_s(facts, name),
        )
        for name, rows in batches.items()
    }


def _pace_s(facts: Mapping[str, Mapping[str, Fact]], task: str) -> float | None:
    """Of a batch's rounds the least disturbed: the slower one of the looks on either side of it."""
    return min(map(max, _looks(facts, task)), default=None)


def _pace_spread(facts: Mapping[str, Mapping[str, Fact]]) -> float:
    """Standard deviation of ln(pace) over all looks; 0 where nobody looked."""
    looks = [math.log(seconds) for pair in _looks(facts) for seconds in pair]
    return stdev(looks) if len(looks) > 1 else 0.0


def _looks(facts: Mapping[str, Mapping[str, Fact]], task: str = "") -> list[list[float]]:
    """What was seen of the machine's pace, s: before and after each round of a batch, or of all."""
    begin = f"pace_s/{task}#" if task else "pace_s/"
    found = [f.value for name, f in facts.get("replay", {}).items() if name.startswith(begin)]
    return [[float(s) for s in pair] for pair in found if isinstance(pair, list) and pair]


def _fastest(window: Sequence[Sample], task: str) -> dict[str, float]:
    """Seconds of the fastest round of each phase of a batch."""
    fastest: dict[str, float] = {}
    for sample in window:
        if sample.task == task:
            best = fastest.get(sample.phase, sample.seconds)
            fastest[str(sample.phase)] = min(best, sample.seconds)
    return fastest


def _unit(rows: Sequence[RequestRow], **seconds: Any) -> Unit:
    tokens = sum(r.prompt_tokens + r.output_tokens for r in rows)
    return Unit(requests=len(rows), tokens=tokens, **seconds)


def _latencies_s(metrics: Metrics) -> dict[str, float]:
    found = {}
    for name, phase in (("ttft", metrics.prefill), ("itl", metrics.decode)):
        for share in ("p50", "p95", "p99"):
            value = getattr(phase.latency_s, share)
            if value is not None and value > 0:
                found[f"{name}_{share}_s"] = float(value)
    return found


def _within_share(metrics: Metrics, window: Sequence[Sample]) -> float:
    """Of a server by its steady window's interval, else by the spread of the rounds' sums."""
    if metrics.paid_mean_s:
        return (metrics.paid_device_s.high / metrics.paid_mean_s - 1) / T95
    rounds: dict[int, float] = {}
    for sample in window:
        rounds[sample.round] = rounds.get(sample.round, 0.0) + sample.seconds
    sums = list(rounds.values())
    if len(sums) < 2:  # noqa: PLR2004 - one round has no spread
        return 0.0
    mid = sum(sums) / len(sums)
    variance = sum((s - mid) ** 2 for s in sums) / (len(sums) - 1)
    return float((variance / len(sums)) ** 0.5 / mid)


def _contention_share(window: Sequence[Sample]) -> float:
    """Only thread time knows of others: a GPU's events and a server's wall time do not."""
    if not window or window[0].clock != THREAD_TIME:
        return 0.0
    own = sum(sample.seconds for sample in window)
    return max(sum(sample.wall_s for sample in window) / own - 1, 0.0) if own > 0 else 0.0


def _sm_clock_hz(recording: Recording) -> float | None:
    seen = [g.value for g in recording.gauges("nvml.clocks") if g.name == "sm_clock"]
    return median(seen) if seen else None

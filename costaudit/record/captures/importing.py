"""A capture of another profiler becomes a recording: what it tells, and why the rest is unknown."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import costaudit
from costaudit.ground.errors import UsageError
from costaudit.record.captures.attribute import NO_CALL, NO_RANGE, Attribution, Owner, attribute
from costaudit.record.captures.chrome import read_chrome
from costaudit.record.captures.nsight import read_nsight
from costaudit.record.failure import remove
from costaudit.record.peaks import datasheet_facts
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact, Gauge, Instrument, Phase, Role, Sample, State
from costaudit.target.target import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from costaudit.record.captures.phase_names import PhaseNames
    from costaudit.record.captures.timeline import Timeline

KIND = "capture"
MOST_NAMES = 100  # of ranges that are kept one by one; the rest is one row
REST = "(other ranges)"
_SQLITE = b"SQLite format 3\x00"
_MOST_SPANS = 100_000
_NS = 1e-9
_NO_TOKENS = "the ranges carry no number of tokens as their payload"
_NO_PEAKS = "a capture measures no peaks"
_NO_DTYPE = "the capture does not tell the data type of the weights"
_NO_DEVICE = "the capture does not describe it"


def import_capture(path: Path, out: Path, names: PhaseNames) -> Attribution:
    """Read a capture and write it as a recording at `out`; nothing is left there on failure.

    Raises:
        UsageError: the capture cannot be read or attributed, or `out` cannot be written.
    """
    timeline = _read(path, names)
    found = attribute(timeline)
    if not found.busy:
        raise UsageError(f"{path}: every operation of this capture lasts no time at all")
    recording = Recording.create(out)
    try:
        with recording:
            recording.set_meta(
                kind=KIND,
                costaudit=costaudit.__version__,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                source=path.name,
            )
            recording.add(*_about(path, timeline), *_attribution(timeline, found))
            recording.add(*_samples(found, timeline))
            recording.add(*_gauges(found, timeline))
    except BaseException:
        remove(out)
        raise
    return found


def _read(path: Path, names: PhaseNames) -> Timeline:
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
    except OSError as err:
        raise UsageError(f"cannot read {path}: {err.strerror}") from err
    return read_nsight(path, names) if head == _SQLITE else read_chrome(path, names)


def _about(path: Path, timeline: Timeline) -> Iterator[Fact | Instrument]:
    device = timeline.device
    yield Fact(subject="target", name="kind", value=KIND)
    yield Fact(subject="target", name="engine", value=timeline.tool)
    yield Fact(subject="target", name="engine_version", value=timeline.version)
    yield Fact(subject="target", name="model", value=path.name)
    yield _device("name", device.name, _NO_DEVICE)
    yield _device("kind", device.kind)
    yield _device("count", device.count)
    yield _device("memory_bytes", device.memory_bytes, _NO_DEVICE)
    bandwidth = device.bandwidth_bytes_per_s
    yield _device("theoretical_bandwidth_bytes_per_s", bandwidth, _NO_DEVICE)
    yield _device("peak_flops", None, _NO_PEAKS)
    yield _device("peak_bandwidth_bytes_per_s", None, _NO_PEAKS)
    yield _device("datasheet_flops", None, _NO_DTYPE)
    sheet = datasheet_facts(device.name or "", kind=device.kind, dtype="")
    yield from (fact for fact in sheet if fact.name != "datasheet_flops")
    seen = f"{len(timeline.operations)} operations, {len(timeline.ranges)} ranges"
    yield Instrument(meter=timeline.tool, state=State.OK, why=seen)


def _device(name: str, value: object, why: str = "") -> Fact:
    """What the capture exports of the device; `why` is said where it does not."""
    if value is not None:
        return Fact(subject="device", name=name, value=value, origin=str(Origin.EXPORTED))
    return Fact(subject="device", name=name, value=None, origin=str(Origin.UNKNOWN), why=why)


def _attribution(timeline: Timeline, found: Attribution) -> Iterator[Fact]:
    """Subject "capture": the whole, the unattributed parts, each range; seconds of device time."""
    parts: dict[str, int | Fraction] = {
        "window": found.window,
        "gaps": found.gaps,
        "busy": found.busy,
        "attributed": found.attributed,
        "no_call": _of(found, NO_CALL),
        "no_range": _of(found, NO_RANGE),
    }
    for name, ns in parts.items():
        yield Fact(subject=KIND, name=f"{name}_s", value=_seconds(ns), unit="s")
    yield Fact(subject=KIND, name="devices", value=found.devices)
    yield Fact(subject=KIND, name="graph_replays", value=found.graph_replays)
    yield Fact(subject=KIND, name="notes", value=list(timeline.notes))
    for phase in Phase:
        spans = [span for span in found.spans if span.phase == phase]
        tokens = [span.tokens for span in spans if span.tokens is not None]
        known = bool(spans) and len(tokens) == len(spans)
        told = {
            "device_s": _seconds(_phase_ns(found, phase)),
            "ranges": len(spans),
            "tokens": sum(tokens) if known else None,
        }
        why = "" if known else _NO_TOKENS
        yield Fact(subject=KIND, name=f"phase/{phase}", value=told, why=why)
    yield Fact(subject=KIND, name="ranges", value=_ranges(found))


def _seconds(ns: int | Fraction) -> float:
    return float(Fraction(ns, 10**9))


def _of(found: Attribution, name: str) -> Fraction:
    return sum((ns for owner, ns in found.owners.items() if owner.name == name), Fraction())


def _phase_ns(found: Attribution, phase: str) -> Fraction:
    return sum((ns for owner, ns in found.owners.items() if owner.phase == phase), Fraction())


def _ranges(found: Attribution) -> list[dict[str, object]]:
    """Rows by range, the longest first; beyond the first hundred names one row holds the rest."""
    ordered = sorted(found.owners.items(), key=lambda one: (-one[1], one[0].phase, one[0].name))
    kept: dict[Owner, Fraction] = defaultdict(Fraction)
    counted: dict[Owner, int] = defaultdict(int)
    for place, (owner, ns) in enumerate(ordered):
        few = place < MOST_NAMES or not owner.attributed
        row = owner if few else Owner(owner.phase, REST)
        kept[row] += ns
        counted[row] += found.operations[owner]
    return [
        {
            "phase": owner.phase,
            "range": owner.name,
            "device_s": _seconds(ns),
            "operations": counted[owner],
            "attributed": owner.attributed,
        }
        for owner, ns in kept.items()
    ]


def _samples(found: Attribution, timeline: Timeline) -> Iterator[Sample]:
    """One span per phase range. A load of 0 is one that the range did not tell."""
    clock = "cpu" if timeline.device.kind == "cpu" else "cupti"
    for place, span in enumerate(found.spans[:_MOST_SPANS]):
        prefill = span.phase == Phase.PREFILL
        yield Sample(
            task=f"{KIND}/{place}",
            role=Role.CAPTURE,
            phase=Phase(span.phase),
            round=0,
            t_s=(span.start - found.start) * _NS,
            seconds=span.busy * _NS,
            wall_s=(span.end - span.start) * _NS,
            clock=clock,
            steps=1,
            prefill_tokens=span.tokens or 0 if prefill else 0,
            decode_seqs=0 if prefill else span.tokens or 0,
        )


def _gauges(found: Attribution, timeline: Timeline) -> Iterator[Gauge]:
    for one in timeline.readings:
        at_s = (one.at - found.start) * _NS
        yield Gauge(t_s=at_s, meter="nsight", name=one.name, value=one.value, unit=one.unit)

"""Device time of a capture by phase and range; what cannot be attributed is counted as such.

A kernel runs long after the call that launched it, so it belongs to the range that holds the call:
same thread, range start <= call start, call end <= range end, the latest start being the innermost
(the rule of NVIDIA's nvtx_gpu_proj_trace). Without its call (a trimmed capture) or without a range
around that, an operation is unattributed. Busy time is the union of a device's operations: where
streams overlap, each owner that is active has an equal part of the instant, so all parts sum to the
union exactly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from costaudit.record.captures.timeline import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.record.captures.timeline import Call, Range, Timeline

NO_CALL, NO_RANGE = "(launched outside the capture)", "(launched outside any range)"
UNATTRIBUTED = (NO_CALL, NO_RANGE)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an operation is: the innermost range, and the phase of the nearest that has one."""

    phase: str
    name: str

    @property
    def attributed(self) -> bool:
        """A range was found."""
        return self.name not in UNATTRIBUTED


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpan:
    """One range of a phase as it ran on the devices: first start, last end, union of its own."""

    phase: str
    start: int
    end: int
    busy: int
    tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Nanoseconds of device time; `owners` sum to `busy`, that to no more than `window`.

    `window` is the time from the first operation's start to the last one's end, times the devices
    that had operations; `gaps` the part of it in which a range of a phase had begun and not ended
    on a device, and that device ran nothing.
    """

    start: int
    window: int
    devices: int
    busy: int
    gaps: int
    owners: Mapping[Owner, Fraction]
    operations: Mapping[Owner, int]
    spans: tuple[PhaseSpan, ...]
    graph_replays: int

    @property
    def attributed(self) -> Fraction:
        """Nanoseconds that belong to a range."""
        return sum((ns for owner, ns in self.owners.items() if owner.attributed), Fraction())


def attribute(timeline: Timeline) -> Attribution:
    """Who owns the device time of a capture."""
    found = _containing(timeline)
    owners: dict[Owner, Fraction] = defaultdict(Fraction)
    counted: Counter[Owner] = Counter()
    by_device: dict[int, list[tuple[Operation, Owner]]] = defaultdict(list)
    by_range: dict[Range, list[Operation]] = defaultdict(list)
    for op in timeline.operations:
        owner, phase_range = found.get((op.process, op.correlation), (Owner("", NO_CALL), None))
        counted[owner] += 1
        by_device[op.device].append((op, owner))
        if phase_range is not None:
            by_range[phase_range].append(op)
    for owned in by_device.values():
        for owner, ns in shared(owned).items():
            owners[owner] += ns
    start = min((op.start for op in timeline.operations), default=0)
    end = max((op.end for op in timeline.operations), default=0)
    return Attribution(
        start=start,
        window=(end - start) * len(by_device),
        devices=len(by_device),
        busy=sum(union(op for op, _ in owned) for owned in by_device.values()),
        gaps=_gaps(by_device, by_range),
        owners=dict(owners),
        operations=dict(counted),
        spans=_spans(by_range),
        graph_replays=len({(o.process, o.correlation) for o in timeline.operations if o.graph}),
    )


def shared(owned: Sequence[tuple[Operation, Owner]]) -> dict[Owner, Fraction]:
    """The union of one device's operations, each instant in equal parts among active owners."""
    turns = [(op.start, 1, owner) for op, owner in owned if op.end > op.start]
    turns += [(op.end, -1, owner) for op, owner in owned if op.end > op.start]
    turns.sort(key=lambda turn: turn[0])
    active: Counter[Owner] = Counter()
    parts: dict[tuple[Owner, int], int] = defaultdict(int)
    before = 0
    for at, step, owner in turns:
        if at > before:
            for one in active:
                parts[one, len(active)] += at - before
        before = at
        active[owner] += step
        if not active[owner]:
            del active[owner]
    sums: dict[Owner, Fraction] = defaultdict(Fraction)
    for (owner, among), ns in parts.items():
        sums[owner] += Fraction(ns, among)
    return dict(sums)


def union(operations: Iterable[Operation]) -> int:
    """Nanoseconds in which at least one operation ran."""
    covered, until = 0, None
    for start, end in sorted((op.start, op.end) for op in operations):
        if until is None or start > until:
            covered, until = covered + end - start, end
        elif end > until:
            covered, until = covered + end - until, end
    return covered


def _containing(timeline: Timeline) -> dict[tuple[int, int], tuple[Owner, Range | None]]:
    """By call: its owner, and the nearest range around it that names a phase."""
    threads: dict[tuple[int, int], list[tuple[Call, tuple[int, int]]]] = defaultdict(list)
    for key, call in timeline.calls.items():
        threads[call.process, call.thread].append((call, key))
    own: dict[tuple[int, int | None], list[Range]] = defaultdict(list)
    for one in timeline.ranges:
        own[one.process, one.thread].append(one)
    found: dict[tuple[int, int], tuple[Owner, Range | None]] = {}
    for (process, thread), calls in threads.items():
        ranges = [*own[process, thread], *own[process, None]]
        for key, around in _innermost(calls, ranges):
            phase_range = next((one for one in around if one.phase), None)
            phase = phase_range.phase if phase_range else ""
            found[key] = Owner(phase, around[0].name if around else NO_RANGE), phase_range
    return found


def _innermost(
    calls: list[tuple[Call, tuple[int, int]]], ranges: list[Range]
) -> Iterable[tuple[tuple[int, int], list[Range]]]:
    """Each call's key with the ranges that hold it, the innermost first."""
    # Of two ranges that begin together the longer one is the outer one.
    ranges = sorted(ranges, key=lambda one: (one.start, -one.end))
    open_now: list[Range] = []
    place = 0
    for call, key in sorted(calls, key=lambda one: one[0].start):
        while place < len(ranges) and ranges[place].start <= call.start:
            open_now.append(ranges[place])
            place += 1
        open_now = [one for one in open_now if one.end >= call.start]
        yield key, [one for one in reversed(open_now) if one.end >= call.end]


def _gaps(
    by_device: Mapping[int, Sequence[tuple[Operation, Owner]]],
    by_range: Mapping[Range, Sequence[Operation]],
) -> int:
    covers: dict[int, list[Operation]] = defaultdict(list)
    for operations in by_range.values():
        for device, own in _by_device(operations).items():
            start, end = min(op.start for op in own), max(op.end for op in own)
            covers[device].append(Operation(start, end, device, 0, 0))
    gaps = 0
    for device, owned in by_device.items():
        run = [op for op, _ in owned]
        gaps += union([*run, *covers[device]]) - union(run)
    return gaps


def _by_device(operations: Iterable[Operation]) -> dict[int, list[Operation]]:
    found: dict[int, list[Operation]] = defaultdict(list)
    for op in operations:
        found[op.device].append(op)
    return found


def _spans(by_range: Mapping[Range, Sequence[Operation]]) -> tuple[PhaseSpan, ...]:
    spans = [
        PhaseSpan(
            phase=one.phase,
            start=min(op.start for op in operations),
            end=max(op.end for op in operations),
            busy=sum(union(own) for own in _by_device(operations).values()),
            tokens=one.tokens,
        )
        for one, operations in by_range.items()
    ]
    return tuple(sorted(spans, key=lambda span: span.start))

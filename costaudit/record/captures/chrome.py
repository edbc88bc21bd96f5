"""A Chrome trace of torch.profiler as a timeline.

Events of phase "X" with `ts` and `dur` in microseconds (Kineto). On a GPU: kernels, copies and
fills name their launch by `args.correlation`. On a CPU the outermost operators of each thread are
the device's work: they are their own calls.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeGuard

from costaudit.ground.errors import UsageError
from costaudit.record.captures.export_file import clean
from costaudit.record.captures.timeline import Call, Device, Key, Operation, Range, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from costaudit.record.captures.phase_names import PhaseNames

MOST_BYTES = 1 << 30  # of JSON, unpacked
_OPERATIONS = {"kernel", "gpu_memcpy", "gpu_memset"}
_CALLS = {"cuda_runtime", "cuda_driver"}
_HINT = "torch.profiler: prof.export_chrome_trace('trace.json.gz')"
_NS_PER_US = 1000
_LATEST_US = 1e16  # 300 years

Event = dict[str, Any]


def read_chrome(path: Path, names: PhaseNames) -> Timeline:
    """The timeline of a trace, plain or gzipped.

    Raises:
        UsageError: it is no Chrome trace, damaged, too large, or holds no operation.
    """
    trace = _load(path)
    events = trace.get("traceEvents") if isinstance(trace, dict) else trace
    if not isinstance(events, list):
        raise UsageError(f"{path} is no Chrome trace: it has no list traceEvents", hint=_HINT)
    by_kind: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if isinstance(event, dict) and event.get("ph") == "X" and _times(event) is not None:
            by_kind[str(event.get("cat", "")).lower()].append(event)
    operations, calls = _on_gpu(by_kind) or _on_cpu(by_kind["cpu_op"])
    if not operations:
        raise UsageError(
            f"{path} holds no kernel and no operator: nothing to attribute", hint=_HINT
        )
    whole_trace = trace if isinstance(trace, dict) else {}
    on_gpu = any(by_kind[kind] for kind in _OPERATIONS)
    return Timeline(
        tool="torch.profiler",
        version=clean(whole_trace.get("schemaVersion", "")),
        operations=operations,
        calls=calls,
        ranges=tuple(_range(event, names) for event in by_kind["user_annotation"]),
        device=_device(whole_trace, on_gpu=on_gpu, count=len({op.device for op in operations})),
        notes=()
        if on_gpu
        else ("The trace holds no GPU: the outermost operators on the CPU are its device time.",),
    )


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise UsageError(
                f"{path} holds more than {MOST_BYTES >> 30} GiB of JSON",
                hint="profile fewer steps: torch.profiler.schedule",
            )
        return json.loads(text)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as err:
        what = " ".join(str(err).split())[:200]
        raise UsageError(f"{path} is no readable Chrome trace: {what}", hint=_HINT) from err


def _times(event: Event) -> tuple[int, int] | None:
    """Start and end in nanoseconds; None where they make no sense."""
    start, lasts = event.get("ts"), event.get("dur", 0)
    if not _microseconds(start) or not _microseconds(lasts):
        return None
    begun = round(start * _NS_PER_US)
    return begun, begun + round(lasts * _NS_PER_US)


def _microseconds(value: object) -> TypeGuard[float]:
    return type(value) in (int, float) and 0 <= value < _LATEST_US  # type: ignore[operator]


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**62 else None


def _thread(event: Event) -> int:
    """One number for process and thread, however the file writes them."""
    return hash((str(event.get("pid")), str(event.get("tid"))))


def _on_gpu(
    by_kind: Mapping[str, list[Event]],
) -> tuple[tuple[Operation, ...], dict[Key, Call]] | None:
    operations = []
    for kind in _OPERATIONS:
        for event in by_kind.get(kind, ()):
            args = event.get("args")
            told = args if isinstance(args, dict) else {}
            correlation = _whole(told.get("correlation"))
            start, end = _times(event) or (0, 0)
            node = bool(_whole(told.get("graph node id")))
            # Correlation ids start at 1, so 0 finds no call.
            device = _whole(told.get("device")) or 0
            operations.append(Operation(start, end, device, 0, correlation or 0, graph=node))
    if not operations:
        return None
    calls: dict[Key, Call] = {}
    for event in (one for kind in _CALLS for one in by_kind.get(kind, ())):
        args = event.get("args")
        correlation = _whole(args.get("correlation")) if isinstance(args, dict) else None
        if correlation:
            calls[0, correlation] = Call(*(_times(event) or (0, 0)), 0, _thread(event))
    return tuple(operations), calls


def _on_cpu(events: Iterable[Event]) -> tuple[tuple[Operation, ...], dict[Key, Call]]:
    """The outermost operators of each thread."""
    until: dict[int, int] = {}
    operations: list[Operation] = []
    calls: dict[Key, Call] = {}
    timed = [(*(_times(event) or (0, 0)), _thread(event)) for event in events]
    for start, end, thread in sorted(timed, key=lambda one: (one[0], -one[1])):
        if end <= until.get(thread, -1):
            continue
        until[thread] = max(end, until.get(thread, -1))
        number = len(operations) + 1
        operations.append(Operation(start, end, 0, 0, number))
        calls[0, number] = Call(start, end, 0, thread)
    return tuple(operations), calls


def _range(event: Event, names: PhaseNames) -> Range:
    name = clean(event.get("name", "(no name)"))
    start, end = _times(event) or (0, 0)
    return Range(start, end, 0, _thread(event), name, names.phase(name))


def _device(trace: Mapping[str, Any], *, on_gpu: bool, count: int) -> Device:
    if not on_gpu:
        return Device(kind="cpu")
    listed = trace.get("deviceProperties")
    first = listed[0] if isinstance(listed, list) and listed else {}
    told = first if isinstance(first, dict) else {}
    return Device(
        name=clean(told["name"]) if told.get("name") else None,
        count=count,
        memory_bytes=_whole(told.get("totalGlobalMem")) or None,
    )

"""Nsight Systems' SQLite export as a timeline.

Tables and columns as NVIDIA's exports of schema 3.23 and 3.25 have them (Nsight Systems 2025.5 and
2026.2; "SQLite Schema Reference" of the user guide). A globalTid is HW:8|VM:8|PID:24|TID:24, a
globalPid the same without its thread. A name stands in StringIds, or inline in `text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.record.captures.export_file import Export, clean, whole
from costaudit.record.captures.timeline import (
    Call,
    Device,
    Key,
    Operation,
    Range,
    Reading,
    Timeline,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from costaudit.record.captures.phase_names import PhaseNames

OPERATIONS = (
    "CUPTI_ACTIVITY_KIND_KERNEL",
    "CUPTI_ACTIVITY_KIND_MEMCPY",
    "CUPTI_ACTIVITY_KIND_MEMSET",
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
)
_CALLS = "CUPTI_ACTIVITY_KIND_RUNTIME"
_GPU = ("memoryBandwidth", "totalMemory", "name", "id")
_CHECKED = re.compile(r"3\.2\d(\.|$)")
_PROCESS = ~0xFFFFFF
_PUSH_POP, _START_END = 59, 60  # eventType of NVTX_EVENTS
_OPEN_END = 2**62  # of a range that had not ended when the capture did
_MOST_READINGS = 200_000
_HASH, _HASHES = 40_503, 1 << 16  # Knuth's multiplier for 16 bits
_HUNDRED = 100.0  # GPU_METRICS gives shares in percent


@dataclass(slots=True)
class _Odd:
    """Rows that made no sense, counted, so that they are told and not silently dropped."""

    rows: dict[str, int] = field(default_factory=dict)

    def add(self, table: str) -> None:
        self.rows[table] = self.rows.get(table, 0) + 1

    def notes(self) -> list[str]:
        return [f"{n} rows of {table} make no sense and were left out." for table, n in
                self.rows.items()]  # fmt: skip


def read_nsight(path: Path, names: PhaseNames) -> Timeline:
    """The timeline of an export.

    Raises:
        UsageError: it is no Nsight Systems export, of an unknown shape, damaged, or too large.
    """
    with Export(path) as export:
        if not export.tables & {*OPERATIONS, _CALLS, "NVTX_EVENTS", "StringIds"}:
            raise UsageError(
                f"{path} is an SQLite file, but no Nsight Systems export",
                hint="nsys export --type sqlite RUN.nsys-rep makes one",
            )
        odd = _Odd()
        operations = tuple(_operations(export, odd))
        if not operations:
            raise UsageError(
                f"{path} holds no kernel, copy or fill of a GPU: nothing to attribute",
                hint="capture with nsys profile -t cuda,nvtx",
            )
        calls = _calls(export, {(op.process, op.correlation) for op in operations}, odd)
        return Timeline(
            tool="Nsight Systems",
            version=export.schema,
            operations=operations,
            calls=calls,
            ranges=tuple(_ranges(export, names, odd)),
            device=_device(export, operations),
            readings=tuple(_readings(export)),
            notes=(*_drift(export), *odd.notes()),
        )


def _operations(export: Export, odd: _Odd) -> Iterator[Operation]:
    needed = ("start", "end", "deviceId", "correlationId")
    for table in OPERATIONS:
        graphs = "graphId" if table.endswith("GRAPH_TRACE") else "graphNodeId"
        rows = export.rows(table, needed, ("globalPid", graphs))
        for start, end, device, correlation, process, graph in rows:
            if not whole(start, end, device, correlation) or end < start:
                odd.add(table)
                continue
            pid = process if type(process) is int else 0  # its top byte may make it negative
            yield Operation(start, end, device, pid, correlation, graph=bool(graph))


def _calls(export: Export, wanted: set[Key], odd: _Odd) -> dict[Key, Call]:
    """The calls that launched operations; of several with one id the last to begin."""
    calls: dict[Key, Call] = {}
    without_pid = {correlation for process, correlation in wanted if process == 0}
    needed = ("start", "end", "globalTid", "correlationId")
    for start, end, thread, correlation in export.rows(_CALLS, needed):
        if not whole(start, end, correlation) or type(thread) is not int or end < start:
            odd.add(_CALLS)
            continue
        process = 0 if correlation in without_pid else thread & _PROCESS
        key = process, correlation
        if key in wanted and (key not in calls or calls[key].start <= start):
            calls[key] = Call(start, end, thread & _PROCESS, thread)
    return calls


def _ranges(export: Export, names: PhaseNames, odd: _Odd) -> Iterator[Range]:
    if "NVTX_EVENTS" not in export.tables:
        return
    strings = _strings(export)
    optional = ("end", "text", "textId", "endGlobalTid", "uint64Value", "int64Value",
                "uint32Value", "int32Value")  # fmt: skip
    rows = export.rows("NVTX_EVENTS", ("start", "eventType", "globalTid"), optional)
    phases: dict[str, str] = {}
    for start, kind, thread, end, text, text_id, end_thread, *payload in rows:
        if kind not in (_PUSH_POP, _START_END):
            continue
        end = _OPEN_END if end is None else end  # noqa: PLW2901 - a range that never ended
        if not whole(start) or type(thread) is not int or type(end) is not int or end < start:
            odd.add("NVTX_EVENTS")
            continue
        name = clean(strings.get(text_id, text) or "(no name)")
        if name not in phases:
            phases[name] = names.phase(name)
        crosses = type(end_thread) is int and end_thread != thread
        yield Range(
            start=start,
            end=end,
            process=thread & _PROCESS,
            thread=None if crosses else thread,
            name=name,
            phase=phases[name],
            tokens=next((n for n in payload if whole(n) and n > 0), None),
        )


def _strings(export: Export) -> dict[Any, str]:
    rows = export.rows(
        "StringIds",
        ("id", "value"),
        where="WHERE id IN (SELECT textId FROM NVTX_EVENTS)"
        if "textId" in export.columns("NVTX_EVENTS")
        else "",
    )
    return {key: str(value) for key, value in rows if value is not None}


def _device(export: Export, operations: tuple[Operation, ...]) -> Device:
    used = {op.device for op in operations}
    rows = list(export.rows("TARGET_INFO_GPU", (), _GPU))
    mine = [row for row in rows if row[3] in used] or rows
    bandwidth, memory, name, _ = mine[0] if mine else (None, None, None, None)
    return Device(
        name=clean(name) if name else None,
        count=len(used),
        memory_bytes=memory if whole(memory) and memory else None,
        bandwidth_bytes_per_s=float(bandwidth) if whole(bandwidth) and bandwidth else None,
    )


def _readings(export: Export) -> Iterator[Reading]:
    """GPU metrics samples that are shares; the rest (clocks) is left in the export.

    Of more than `_MOST_READINGS` rows as many are read, spread over the whole capture by a
    multiplicative hash of their numbers: every metric is met in its turn.
    """
    named = {
        key: clean(name)
        for key, name in export.rows("TARGET_INFO_GPU_METRICS", ("metricId", "metricName"))
        if "%" in str(name)
    }
    part = min(_HASHES, _HASHES * _MOST_READINGS // max(1, export.last_row("GPU_METRICS")))
    where = "" if part == _HASHES else f"WHERE (rowid * {_HASH}) % {_HASHES} < {part}"
    for at, metric, value in export.rows(
        "GPU_METRICS", ("timestamp", "metricId", "value"), where=where
    ):
        if metric in named and whole(at) and type(value) in (int, float):
            yield Reading(at=at, name=named[metric], value=value / _HUNDRED, unit="share")


def _drift(export: Export) -> list[str]:
    if _CHECKED.match(export.schema):
        return []
    return [
        (
            f"Schema {export.schema or 'unknown'} of this export is none of the 3.2x that "
            "costaudit was checked with; all columns that it needs were there."
        )
    ]

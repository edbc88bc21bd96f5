"""What any profiler's capture comes down to: device operations, the calls that made them, ranges.

All times are whole nanoseconds on one clock; `process` and `thread` are whatever identifies them in
the file (a process of 0 where the file knows only one).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Key = tuple[int, int]  # process, correlation id


@dataclass(frozen=True, slots=True)
class Operation:
    """One kernel, copy or fill on a device; `correlation` names the call that launched it.

    All kernels of one replay of a CUDA graph share the correlation of its launch; `graph` marks
    them.
    """

    start: int
    end: int
    device: int
    process: int
    correlation: int
    graph: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """An API call of the host; it, and not the operation, lies inside a range."""

    start: int
    end: int
    process: int
    thread: int


@dataclass(frozen=True, slots=True)
class Range:
    """A named range of one thread, or (`thread` None) of a whole process.

    `tokens` is the payload where the program gave one.
    """

    start: int
    end: int
    process: int
    thread: int | None
    name: str
    phase: str = ""  # "prefill", "decode", or "" where its name tells neither
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of a counter of the device; `value` in `unit`."""

    at: int
    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device as the capture describes it; None is unknown."""

    name: str | None = None
    kind: str = "cuda"
    count: int = 1
    memory_bytes: int | None = None
    bandwidth_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A capture, checked. `notes` are sentences about what was odd in the file."""

    tool: str
    version: str
    operations: tuple[Operation, ...]
    calls: Mapping[Key, Call]
    ranges: tuple[Range, ...]
    device: Device = field(default_factory=Device)
    readings: tuple[Reading, ...] = ()
    notes: tuple[str, ...] = ()

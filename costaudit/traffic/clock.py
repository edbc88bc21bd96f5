"""What the time column of a log means, and its values as microseconds since 1970 UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.traffic.functions import Functions
    from costaudit.traffic.layout import Head, Layout

MICROS_OF = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
# By size: seconds until the year 5138, then milliseconds, microseconds, nanoseconds.
BOUNDS = ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0))
LARGEST = 1e19
RELATIVE_BELOW = 5e8  # as seconds since 1970 that is 1985: no log begins there
EARLIEST_US = 946_684_800_000_000  # 2000
LATEST_US = 4_102_444_800_000_000  # 2100
LONGEST_US = 3_000_000_000_000_000  # 95 years of relative time
ZONED = r"\d:\d\d.*([Zz]|UTC|GMT|[+-]\d\d(:?\d\d)?|[A-Za-z]+/[A-Za-z_]+)\s*$"
NUMBERS_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How times are written: `typed`, `text` or `number`; `relative` ones have no date."""

    kind: str
    relative: bool = False
    unit: str = ""  # of relative numbers
    prefix: str = ""
    zone: bool | None = False  # whether typed times carry one; None: the engine does not tell


def read_clock(head: Head, layout: Layout, kind: Any, functions: Functions) -> Clock:
    """The clock of a log by the first values of its time column and the type it has there.

    Raises:
        UsageError: none of them can be read as a time.
    """
    column = layout.columns["time"]
    values = head.values(column)
    if values and isinstance(values[0], datetime | date):
        zone = kind.is_timestamp() and kind.timezone is not None
        return Clock(kind="typed", zone=zone if functions.tells_zones else None)
    if layout.format.time_prefix:
        return Clock(kind="text", relative=True, prefix=layout.format.time_prefix)
    numbers = [number for value in values if (number := _number(value)) is not None]
    if len(numbers) > NUMBERS_SHARE * len(values):
        relative = min(abs(number) for number in numbers) < RELATIVE_BELOW
        return Clock(kind="number", relative=relative, unit=_unit(column, layout))
    if values and not any(_looks_like_time(value) for value in values):
        raise UsageError(
            f"column {column!r} holds no times: it starts with {str(values[0])[:40]!r}",
            hint="times are ISO 8601 or numbers; name another column with --map time=COLUMN",
        )
    return Clock(kind="text")


def micros(column: Any, clock: Clock, functions: Functions) -> Any:
    """An expression for microseconds since 1970 UTC; NULL where a value cannot be read."""
    import ibis

    if clock.kind == "typed":
        return functions.micros(column)
    if clock.kind == "text":
        text = column.cast("string")
        text = clock.prefix + text if clock.prefix else text
        return functions.micros(text.try_cast("timestamp('UTC')"))
    value = column.try_cast("float64") if column.type().is_string() else column
    value = value.cast("float64")
    value = ibis.ifelse(value.abs() < LARGEST, value, ibis.null("float64"))
    if clock.relative:
        return _rounded(value * MICROS_OF[clock.unit])
    steps = [(value.abs() < bound, value * factor) for bound, factor in BOUNDS]
    return _rounded(ibis.cases(*steps, else_=value * MICROS_OF["ns"]))


def in_range(time_us: Any, clock: Clock) -> Any:
    """Whether a time is one that a log can have."""
    if clock.relative:
        return (time_us >= 0) & (time_us < LONGEST_US)
    return (time_us >= EARLIEST_US) & (time_us < LATEST_US)


def note(clock: Clock, rows: int, zoned: int) -> str:
    """How the times were read, in a sentence."""
    if clock.relative:
        return "times have no date; they are counted from 1970-01-01 UTC"
    if clock.kind == "number":
        return "times are counted from 1970, UTC"
    if clock.zone is None:
        return "times are timestamps of the engine, read as UTC"
    if clock.kind == "typed":
        zoned = rows if clock.zone else 0
    if zoned == rows:
        return "times carry their zone and were converted to UTC"
    if not zoned:
        return "times carry no zone and were taken as UTC"
    return f"{rows - zoned:,} of {rows:,} times carry no zone and were taken as UTC"


def _rounded(value: Any) -> Any:
    """Half up: engines disagree on casting a fraction."""
    return (value + 0.5).floor().cast("int64")


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _looks_like_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(str(value).strip()[:19])
    except ValueError:
        return "/" in str(value) and str(value)[:4].isdigit()
    return True


def _unit(column: str, layout: Layout) -> str:
    """What the name says, else what the format says, else seconds."""
    lowered = column.lower()
    endings: Sequence[tuple[str, str]] = (
        ("ms", "ms"), ("millis", "ms"), ("us", "us"), ("micros", "us"), ("ns", "ns"),
        ("nanos", "ns"), ("nano", "ns"),
    )  # fmt: skip
    for ending, unit in endings:
        if lowered.endswith(("_" + ending, "." + ending)):
            return unit
    return layout.format.relative_unit or "s"

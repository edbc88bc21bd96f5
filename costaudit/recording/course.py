"""What a recording's gauges and steps did over time, thinned by SQLite itself.

Memory and answer do not grow with the recording: time is cut into equal parts, and each part keeps
its lowest and its highest value, so no spike is ever thinned away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.recording.drawn import drawn_ids

if TYPE_CHECKING:
    import sqlite3

MOST_STARTS = 20_000  # of steps, that tell when a phase ran
PARTS = 240  # of the time that is shown: more than a chart has room for

_COURSES = """
SELECT meter, name, unit, min(CAST((t_s - :from_s) / :part_s AS INTEGER), :parts - 1) AS part,
       min(value), max(value), count(*)
FROM gauge WHERE (meter = 'server' AND name IN ({named})) OR (meter != 'server' AND unit = 'share')
GROUP BY meter, name, part ORDER BY meter, name, part
"""
_NAMED = ("kv.usage_fraction", "requests.running", "requests.waiting")  # of a server's own metrics
_MOST_COURSES = 16
# Rows are written as their steps end.
_ENDS = """
SELECT min(t_s), max(t_s), (SELECT count(*) FROM sample) FROM sample
WHERE id IN (SELECT min(id) FROM sample) OR id IN (SELECT max(id) FROM sample)
"""
_SPANS = """
SELECT phase, min(t_s), max(t_s + wall_s * CASE WHEN role IN ('fit', 'held-out') THEN steps ELSE 1
       END)
FROM sample WHERE {drawn} GROUP BY phase, CAST(t_s / :part_s AS INTEGER) ORDER BY phase, min(t_s)
"""


_EXTENTS = """
SELECT name, min(value), max(value), max(value) FILTER (WHERE t_s = last_s) - max(value) FILTER
       (WHERE t_s = first_s), max(t_s) - min(t_s)
FROM (SELECT name, value, t_s, min(t_s) OVER w AS first_s, max(t_s) OVER w AS last_s FROM gauge
      WHERE meter = ? WINDOW w AS (PARTITION BY name))
GROUP BY name ORDER BY name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What one gauge did over the whole recording; `rise` is its last value less its first."""

    low: float
    high: float
    rise: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One gauge over time: per part of the time that has readings, its ends and its extremes."""

    meter: str
    name: str
    unit: str
    samples: int
    t_s: tuple[float, ...]  # middle of each part, since the recording began
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Time spent in one kind of work without a pause that a chart could show."""

    kind: str
    from_s: float
    to_s: float


def courses(db: sqlite3.Connection) -> tuple[Course, ...]:
    """The shares that meters read, and a server's cache and queues; the busiest first."""
    from_s, to_s = db.execute("SELECT min(t_s), max(t_s) FROM gauge").fetchone()
    if from_s is None:
        return ()
    part_s = (to_s - from_s) / PARTS or 1.0
    named = {f"n{place}": name for place, name in enumerate(_NAMED)}
    sql = _COURSES.format(named=", ".join(f":{key}" for key in named))
    rows = db.execute(sql, {"from_s": from_s, "part_s": part_s, "parts": PARTS, **named})
    found: dict[tuple[str, str, str], list[tuple[int, float, float, int]]] = {}
    for meter, name, unit, *part in rows:
        found.setdefault((meter, name, unit), []).append(tuple(part))
    made = (_course(key, parts, from_s, part_s) for key, parts in found.items())
    return tuple(sorted(made, key=lambda c: -c.samples)[:_MOST_COURSES])


def extents(db: sqlite3.Connection, meter: str) -> dict[str, Extent]:
    """The gauges of a meter by name."""
    return {
        name: Extent(low=low, high=high, rise=rise, seconds=seconds)
        for name, low, high, rise, seconds in db.execute(_EXTENTS, (meter,))
    }


def _course(
    key: tuple[str, str, str],
    parts: list[tuple[int, float, float, int]],
    from_s: float,
    part_s: float,
) -> Course:
    meter, name, unit = key
    return Course(
        meter=meter,
        name=name,
        unit=unit,
        samples=sum(count for *_, count in parts),
        t_s=tuple(from_s + (place + 0.5) * part_s for place, *_ in parts),
        low=tuple(low for _, low, _, _ in parts),
        high=tuple(high for _, _, high, _ in parts),
    )


def phase_spans(db: sqlite3.Connection) -> tuple[Span, ...]:
    """When steps of each phase ran; spans closer than a part of the time are one."""
    first, last, count = db.execute(_ENDS).fetchone()
    if first is None:
        return ()
    part_s = (last - first) / PARTS or 1.0
    merged: list[Span] = []
    sql = _SPANS.format(drawn=drawn_ids(db, "sample", MOST_STARTS / count))
    for kind, from_s, to_s in db.execute(sql, {"part_s": part_s}):
        before = merged[-1] if merged else None
        if before is not None and before.kind == kind and from_s - before.to_s < part_s:
            longer = Span(kind=kind, from_s=before.from_s, to_s=max(to_s, before.to_s))
            merged[-1] = longer
        else:
            merged.append(Span(kind=kind, from_s=from_s, to_s=to_s))
    return tuple(merged)

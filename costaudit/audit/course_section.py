"""The document's section on how the run went over time: gauges, and what was done meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.audit.ahead import WentOn
    from costaudit.recording.recording import Recording

_MERGE_S = 0.5  # rungs of one purpose with a shorter pause between them are told as one
_DIGITS = 6


def course_section(recording: Recording, course: WentOn) -> dict[str, Any]:
    """Gauges with their lowest and highest value in each part of the time, and spans of work."""
    spans = [(s.kind, s.from_s, s.to_s) for s in course.spans] or _merged(recording)
    return {
        "gauges": [
            {
                "meter": gauge.meter,
                "name": gauge.name,
                "unit": gauge.unit,
                "samples": gauge.samples,
                "t_s": _short(gauge.t_s),
                "low": _short(gauge.low),
                "high": _short(gauge.high),
            }
            for gauge in course.gauges
        ],
        "spans": [
            {"kind": kind, "from_s": round(from_s, 3), "to_s": round(to_s, 3)}
            for kind, from_s, to_s in spans
        ],
    }


def _merged(recording: Recording) -> list[tuple[str, float, float]]:
    merged: list[tuple[str, float, float]] = []
    for kind, from_s, to_s in sorted(_rungs(recording), key=lambda rung: rung[1]):
        if merged and merged[-1][0] == kind and from_s - merged[-1][2] < _MERGE_S:
            merged[-1] = (kind, merged[-1][1], max(to_s, merged[-1][2]))
        else:
            merged.append((kind, from_s, to_s))
    return merged


def _rungs(recording: Recording) -> Iterator[tuple[str, float, float]]:
    """Purpose, begin and end of each rung that was sent to a server."""
    facts = recording.facts().get("rung", {})
    for task in recording.tasks():
        about = facts.get(task.id)
        if about is None or not isinstance(about.value, dict):
            continue
        from_s, wall_s = about.value.get("t_s"), about.value.get("wall_s")
        if isinstance(from_s, (int, float)) and isinstance(wall_s, (int, float)):
            purpose = str(task.spec.get("purpose") or task.kind)
            yield purpose, float(from_s), float(from_s + wall_s)


def _short(values: tuple[float, ...]) -> list[float]:
    return [round(value, _DIGITS) for value in values]

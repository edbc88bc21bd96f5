"""An alarm counts when a second, independent measurement raises it too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.gate.percent import signed_percent
from costaudit.gate.shift import judge_margins
from costaudit.gate.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.gate.budget import Margin
    from costaudit.gate.shift import Evidence, Shift


def judge_twice(
    first: Evidence,
    margins: Sequence[Margin],
    *,
    again: Callable[[], tuple[Evidence, Evidence]],
) -> tuple[Shift, ...]:
    """The verdicts of `first`; where a time breaks a line, those of a confirming re-run.

    `again` measures once more and gives that run's evidence and that of both together. A line
    breaks only where both runs say so; an alarm that was not confirmed stays on record.
    """
    shifts = judge_margins(first, margins)
    if not any(s.result is Result.BROKEN and s.change is not None for s in shifts):
        return shifts
    alone, together = again()
    second, pooled = judge_margins(alone, margins), judge_margins(together, margins)
    return tuple(map(_settled, shifts, second, pooled))


def _settled(first: Shift, second: Shift, pooled: Shift) -> Shift:
    if first.change is None or second.change is None:
        return first  # counters do not change their mind
    seen = max(s.seen for s in (first, second) if s.seen is not None) if first.seen else None
    pooled = replace(pooled, seen=seen)
    alarms = [s.result is Result.BROKEN for s in (first, second)]
    both = f"{signed_percent(first.change.share)}, then {signed_percent(second.change.share)}"
    if all(alarms):
        note = f"a second run says so too: {both}"
        return replace(pooled, result=Result.BROKEN, why="", note=note)
    note = f"one of two runs raised an alarm: {both}" if any(alarms) else ""
    if pooled.result is Result.BROKEN:
        why = "two runs together show a change, each alone does not"
        return replace(pooled, result=Result.INCONCLUSIVE, why=why, note=note)
    return replace(pooled, note=note)

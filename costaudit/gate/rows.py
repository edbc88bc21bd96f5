"""A decision as rows of final text: what every form of output is written from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.contrast.change import high, low
from costaudit.gate.percent import percent, signed_percent

if TYPE_CHECKING:
    from costaudit.gate.budget import Limit, Margin, Severity
    from costaudit.gate.decision import Decision
    from costaudit.gate.shift import Shift
    from costaudit.gate.verdict import Result, Verdict

RELATIVE = "vs baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the budget as it is told.

    Attributes:
        name: the metric, and "vs baseline" behind that of a relative line.
        measured, allowed: in words, to be read behind each other.
        why: the reason of an undecided line; "" otherwise.
        notes: everything else worth a line.
        value: the measured number or the change as a share, for machines; None: unknown.
    """

    name: str
    result: Result
    severity: Severity
    measured: str
    allowed: str
    why: str
    notes: tuple[str, ...]
    owner: str
    reason: str
    line: int
    value: float | None

    @property
    def sentence(self) -> str:
        """The row in one line."""
        told = f"{self.name} {self.measured}, allowed {self.allowed}"
        return f"{told}; because {self.why}" if self.why else told


def rows(decision: Decision) -> tuple[Row, ...]:
    """All lines in the order of the file, absolute before relative where both are one line."""
    told = [*map(_absolute, decision.verdicts), *map(_relative, decision.shifts)]
    return tuple(sorted(told, key=lambda row: row.line))


def _absolute(verdict: Verdict) -> Row:
    return Row(
        name=verdict.limit.metric,
        result=verdict.result,
        measured=_measured(verdict),
        allowed=_allowed(verdict.limit),
        why=verdict.why,
        notes=(),
        value=verdict.value,
        **_line(verdict.limit),
    )


def _relative(shift: Shift) -> Row:
    margin, change = shift.margin, shift.change
    notes = [shift.note] if shift.note else []
    if change is not None:
        value: float | None = change.share
        measured = f"changed by {signed_percent(change.share)}"
        bounds = low(change, shift.alpha), high(change, shift.alpha)
        measured += f" ({signed_percent(bounds[0])} to {signed_percent(bounds[1])})"
        if shift.seen is not None:
            smallest = f"smallest change that would be seen: {percent(shift.seen)}"
            notes.append(f"{smallest}; {change.origin}")
        allowed = f"up to {percent(margin.margin)} worse"
    else:
        measured, value = _counted(shift)
        allowed = f"the same within {percent(margin.margin)}" if margin.margin else "the same"
    if shift.better:
        notes.append(
            "the build beats its baseline by more than the margin: a later loss of as much would"
            " not show; write a new baseline with --update-baseline"
        )
    return Row(
        name=f"{margin.metric} {RELATIVE}",
        result=shift.result,
        measured=measured,
        allowed=allowed,
        why=shift.why,
        notes=tuple(notes),
        value=value,
        **_line(margin),
    )


def _line(line: Limit | Margin) -> dict[str, Any]:
    return {
        "severity": line.severity,
        "owner": line.owner,
        "reason": line.reason,
        "line": line.line,
    }


def _counted(shift: Shift) -> tuple[str, float | None]:
    if shift.before is None or shift.after is None:
        return "is unknown", None
    if shift.before == shift.after:
        return f"= {shift.after:.6g} as before", 0.0
    change = shift.after / shift.before - 1 if shift.before else None
    told = f" ({signed_percent(change)})" if change is not None else ""
    return f"= {shift.after:.6g}, was {shift.before:.6g}{told}", change


def _measured(verdict: Verdict) -> str:
    if verdict.value is None or verdict.interval is None:
        return "is unknown"
    if verdict.interval.low == verdict.interval.high:
        return f"= {verdict.value:.6g}"
    return f"= {verdict.value:.6g} ({verdict.interval.low:.6g} to {verdict.interval.high:.6g})"


def _allowed(limit: Limit) -> str:
    if math.isinf(limit.high):
        return f"at least {limit.low:g}"
    if math.isinf(limit.low):
        return f"at most {limit.high:g}"
    return f"{limit.low:g} to {limit.high:g}"

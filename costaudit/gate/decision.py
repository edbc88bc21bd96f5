"""The whole decision: every line's verdict, what a difference is made of, the exit code."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from costaudit.contrast.change import high, low, noise
from costaudit.gate.budget import Severity
from costaudit.gate.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costaudit.contrast.split import Split
    from costaudit.gate.shift import Shift
    from costaudit.gate.verdict import Verdict

SCHEMA = "costaudit.gate/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the gate decided.

    Attributes:
        budget: path of the budget file.
        verdicts: of the absolute lines.
        shifts: of the relative lines.
        split: of the difference to the baseline; None without one.
        notes: what a reader should know and no line says.
        warn: inconclusive does not fail the build.
    """

    budget: str
    verdicts: tuple[Verdict, ...] = ()
    shifts: tuple[Shift, ...] = ()
    split: Split | None = None
    notes: tuple[str, ...] = ()
    warn: bool = False

    @property
    def result(self) -> Result:
        """One broken error breaks the build, one undecided leaves it undecided."""
        lines = [
            *((v.limit.severity, v.result) for v in self.verdicts),
            *((s.margin.severity, s.result) for s in self.shifts),
        ]
        return overall(result for severity, result in lines if severity is Severity.ERROR)

    @property
    def exit_code(self) -> int:
        """0 passed, 1 broken, 3 inconclusive (0 where that only warns)."""
        if self.result is Result.INCONCLUSIVE and self.warn:
            return 0
        return {Result.PASSED: 0, Result.BROKEN: 1, Result.INCONCLUSIVE: 3}[self.result]


def overall(results: Iterable[Result]) -> Result:
    """The worst of several: broken, then inconclusive, then passed."""
    found = set(results)
    for result in (Result.BROKEN, Result.INCONCLUSIVE):
        if result in found:
            return result
    return Result.PASSED


def as_json(decision: Decision) -> dict[str, Any]:
    """The decision for a machine; an open end of a limit is null."""
    split = decision.split
    return {
        "schema": SCHEMA,
        "result": str(decision.result),
        "exit_code": decision.exit_code,
        "verdicts": [_verdict(v) for v in decision.verdicts],
        "changes": [_shift(s) for s in decision.shifts],
        "split": asdict(split) | {"whole": split.whole} if split else None,
        "notes": list(decision.notes),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    limit = verdict.limit
    return {
        "metric": limit.metric,
        "path": verdict.path,
        "result": str(verdict.result),
        "severity": str(limit.severity),
        "value": verdict.value,
        "interval": asdict(verdict.interval) if verdict.interval else None,
        "min": _finite(limit.low),
        "max": _finite(limit.high),
        "why": verdict.why,
        "owner": limit.owner,
        "reason": limit.reason,
        "line": limit.line,
    }


def _shift(shift: Shift) -> dict[str, Any]:
    margin, change = shift.margin, shift.change
    found: dict[str, Any] = {
        "metric": margin.metric,
        "result": str(shift.result),
        "severity": str(margin.severity),
        "margin_share": margin.margin,
        "before": shift.before,
        "after": shift.after,
        "why": shift.why,
        "note": shift.note,
        "stale_slack": shift.better,
        "owner": margin.owner,
        "reason": margin.reason,
        "line": margin.line,
        "change": None,
    }
    if change is not None:
        found["change"] = {
            "share": change.share,
            "low_share": _finite(low(change, shift.alpha)),
            "high_share": _finite(high(change, shift.alpha)),
            "noise_share": _finite(noise(change, shift.alpha)),
            "smallest_seen_share": None if shift.seen is None else _finite(shift.seen),
            "alpha": shift.alpha,
            "origin": change.origin,
        }
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

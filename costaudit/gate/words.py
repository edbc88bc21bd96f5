"""The verdicts in words, for a terminal or a CI log."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.gate.budget import Severity
from costaudit.gate.verdict import Result, Verdict, overall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.gate.budget import Limit


def gate_text(verdicts: Sequence[Verdict]) -> str:
    """One block per line of the budget, then the verdict on the build."""
    counts = {r: sum(v.result is r for v in verdicts) for r in Result}
    tally = ", ".join(f"{n} {result}" for result, n in counts.items() if n)
    blocks = [_block(v) for v in verdicts]
    return "\n".join([*blocks, f"gate: {overall(verdicts)} ({tally})"]) + "\n"


def _block(verdict: Verdict) -> str:
    limit = verdict.limit
    label = str(verdict.result).upper()
    if limit.severity is Severity.WARN and verdict.result is not Result.PASSED:
        label += " (warning only)"
    lines = [f"{label:<13} {limit.metric} {_measured(verdict)}, allowed {_allowed(limit)}"]
    if verdict.why:
        lines.append(f"because {verdict.why}")
    if verdict.result is not Result.PASSED:
        lines += [f"limit set because {limit.reason}"] if limit.reason else []
        lines += [f"ask {limit.owner}"] if limit.owner else []
    return "\n              ".join(lines)


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

"""GitLab: a metrics report (OpenMetrics text) and a code-quality report (CodeClimate's subset)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from costaudit.gate.budget import Severity
from costaudit.gate.rows import RELATIVE, rows
from costaudit.gate.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.gate.decision import Decision
    from costaudit.gate.rows import Row

_LEVELS = {Result.PASSED: 0, Result.BROKEN: 1, Result.INCONCLUSIVE: 3}


def metrics(decision: Decision) -> str:
    """What was measured of each line that is known, and its verdict by the gate's exit codes."""
    told = rows(decision)
    measured = [(r, r.value) for r in told if r.value is not None]
    families = {
        "costaudit_measured": [(r, v) for r, v in measured if not r.name.endswith(RELATIVE)],
        "costaudit_change_share": [(r, v) for r, v in measured if r.name.endswith(RELATIVE)],
        "costaudit_verdict": [(r, float(_LEVELS[r.result])) for r in told],
    }
    lines = []
    for family, samples in families.items():
        if samples:
            labels = _labels([row for row, _ in samples])
            lines.append(f"# TYPE {family} gauge")
            lines += [
                f"{family}{{{label}}} {value!r}"
                for label, (_, value) in zip(labels, samples, strict=True)
            ]
    return "\n".join([*lines, "# EOF"]) + "\n"


def code_quality(decision: Decision) -> str:
    """An issue per line that did not pass, at its place in the budget file."""
    found = [_issue(row, decision) for row in rows(decision) if row.result is not Result.PASSED]
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _labels(told: Sequence[Row]) -> list[str]:
    """A metric that stands on several lines is told apart by which of them; never by the line.

    Reports of two branches are matched by labels, and lines move.
    """
    seen: Counter[str] = Counter()
    labels = []
    for row in told:
        seen[row.name] += 1
        name = row.name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        again = f',again="{seen[row.name]}"' if seen[row.name] > 1 else ""
        labels.append(f'line="{name}"{again}')
    return labels


def _issue(row: Row, decision: Decision) -> dict[str, Any]:
    path = PurePath(decision.budget).as_posix()
    print_of = f"{path}\n{row.name}\n{row.result}"
    return {
        "description": row.sentence,
        "check_name": f"costaudit-{row.result}",
        "fingerprint": hashlib.sha256(print_of.encode()).hexdigest(),
        "severity": _severity(row, decision),
        "location": {"path": path, "lines": {"begin": row.line}},
    }


def _severity(row: Row, decision: Decision) -> str:
    if row.severity is Severity.WARN:
        return "info"
    if row.result is Result.INCONCLUSIVE:
        return "info" if decision.warn else "minor"
    return "major"

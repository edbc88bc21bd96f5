"""SARIF 2.1.0 (OASIS): each line that did not pass, shown at its place in the budget file."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import costaudit
from costaudit.gate.budget import Severity
from costaudit.gate.rows import rows
from costaudit.gate.verdict import Result

if TYPE_CHECKING:
    from costaudit.gate.decision import Decision
    from costaudit.gate.rows import Row

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    "budget-broken": "A budget line is broken",
    "budget-undecided": "A budget line could not be decided",
}


def sarif(decision: Decision) -> str:
    """One run with a result per line that did not pass."""
    found = [_result(row, decision) for row in rows(decision) if row.result is not Result.PASSED]
    driver = {
        "name": "costaudit",
        "version": costaudit.__version__,
        "rules": [{"id": i, "shortDescription": {"text": text}} for i, text in _RULES.items()],
    }
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": found}],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _result(row: Row, decision: Decision) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": PurePath(decision.budget).as_posix()},
        "region": {"startLine": row.line},
    }
    return {
        "ruleId": "budget-broken" if row.result is Result.BROKEN else "budget-undecided",
        "level": _level(row, decision),
        "message": {"text": "\n".join([row.sentence, *row.notes])},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"metric/v1": row.name},
    }


def _level(row: Row, decision: Decision) -> str:
    if row.severity is Severity.WARN:
        return "note"
    if row.result is Result.INCONCLUSIVE and decision.warn:
        return "warning"
    return "error"

"""A diagnosis as plain values, for a machine: `costaudit.diagnosis/1`.

What the server does not tell is null, and has its entry in `unknown`.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costaudit.diagnosis.diagnosis import Diagnosis, Facts, Finding

SCHEMA = "costaudit.diagnosis/1"


def diagnosis_json(found: Diagnosis) -> dict[str, Any]:
    """The diagnosis with the window's figures; shares are 0 to 1, times seconds."""
    window = found.window
    return {
        "schema": SCHEMA,
        "engine": window.engine,
        "engine_version": window.version or None,
        "model": window.model or None,
        "window": {
            "seconds": window.seconds,
            "scrapes": window.scrapes,
            "restarts": window.restarts,
            "lost": window.lost or None,
        },
        "state": found.state.value,
        "summary": found.summary,
        "findings": [_finding(rank, one) for rank, one in enumerate(found.findings, 1)],
        "possible": [_finding(rank, one) for rank, one in enumerate(found.possible, 1)],
        "facts": _facts(found.facts),
        "absent": dict(found.absent),
        "cannot_tell": dict(found.cannot_tell),
        "unknown": [{"what": name, "why": why} for name, why in found.facts.why.items()],
        "knobs": {
            name: {"value": value.value, "origin": value.origin.value, "why": value.why}
            for name, value in sorted(window.knobs.items())
        },
        "price": None if found.price is None else asdict(found.price),
        "notes": list(window.notes),
    }


def _finding(rank: int, one: Finding) -> dict[str, Any]:
    return {
        "rank": rank,
        "id": one.id,
        "title": one.title,
        "cause": one.cause,
        "confidence": one.confidence.value,
        "urgent": one.urgent,
        "cost_share": one.cost_share,
        "evidence": [asdict(evidence) for evidence in one.evidence],
        "fixes": [asdict(fix) for fix in one.fixes],
        "advice": one.advice,
        "steps": list(one.steps),
    }


def _facts(facts: Facts) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for field in fields(facts):
        value = getattr(facts, field.name)
        if field.name == "why":
            continue
        if value is None or isinstance(value, (float, int, str)):
            plain[field.name] = value
        elif hasattr(value, "items"):
            plain[field.name] = dict(value)
        else:
            plain[field.name] = asdict(value)
    return plain

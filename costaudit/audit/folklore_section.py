"""The document's section on common claims: each beside this target's own figure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.folklore.claim import Found, verdict_of, why_not_told
from costaudit.folklore.load import findings

if TYPE_CHECKING:
    from costaudit.folklore.claim import Claim, Figure, Finding, Known


def folklore_section(known: Known) -> list[dict[str, Any]]:
    """Every claim of the folklore, with figures and verdict."""
    return [_row(claim, finding) for claim, finding in findings(known)]


def _row(claim: Claim, finding: Finding) -> dict[str, Any]:
    figures = finding.figures if isinstance(finding, Found) else ()
    return {
        "id": claim.id,
        "claim": claim.text,
        "verdict": str(verdict_of(finding)),
        "why": why_not_told(finding),
        "note": finding.note if isinstance(finding, Found) else "",
        "figures": [_figure(figure) for figure in figures],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "what": figure.what,
        "unit": figure.unit,
        "value": asdict(figure.value),
        "claimed": asdict(figure.claimed),
        "verdict": str(figure.verdict),
        "where": figure.where,
    }

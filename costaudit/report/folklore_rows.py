"""Common claims beside this target's own figures, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERDICT = {
    "holds": "holds here",
    "does-not-hold": "does not hold here",
    "cannot-tell": "cannot tell",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """One claim: what is said, what is seen here, and the verdict with its reason."""

    claim: str
    here: tuple[str, ...]
    verdict: str
    kind: str  # "holds", "does-not-hold" or "cannot-tell"
    why: str


def claim_rows(document: Mapping[str, Any]) -> list[ClaimRow]:
    """The folklore table; empty for a document without one."""
    return [
        ClaimRow(
            claim=entry["claim"],
            here=tuple(_figure(figure) for figure in entry["figures"]),
            verdict=_VERDICT[entry["verdict"]],
            kind=entry["verdict"],
            why="; ".join(text for text in (entry["why"], entry["note"]) if text),
        )
        for entry in document.get("folklore", ())
    ]


def _figure(figure: Mapping[str, Any]) -> str:
    value = _range(figure["value"], figure["unit"])
    scaled = figure["unit"] == "bytes"  # else the claim's words say what is claimed
    claimed = f", claimed {_range(figure['claimed'], 'bytes')}" if scaled else ""
    return f"{figure['what']}: {value}{claimed} ({figure['where']})"


def _range(value: Mapping[str, float], unit: str) -> str:
    low, high = value["low"], value["high"]
    match unit:
        case "share":
            return figures.percent_range(low, high)
        case "bytes":
            return _both(figures.binary_bytes(low), figures.binary_bytes(high))
        case "times":
            return _both(figures.significant(low), figures.significant(high)) + " times"
        case _:
            return _both(f"{figures.significant(low)}:1", f"{figures.significant(high)}:1")


def _both(low: str, high: str) -> str:
    return low if low == high else f"{low}{figures.RANGE}{high}"

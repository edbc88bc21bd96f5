"""Predictions that were tried, as rows: predicted beside measured, and how all of them did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

_METRIC = {
    "gpu_s_per_1m_tokens": "cost per 1M tokens",
    "ttft_p50_s": "median TTFT",
    "itl_p50_s": "median ITL",
}
_VERDICT = {"inside": "inside", "outside": "outside", "cannot-tell": "cannot tell"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRow:
    """One figure of one trial; `first` of its trial, which alone names the steps and the day."""

    first: bool
    steps: str
    day: str
    metric: str
    predicted: str
    measured: str
    verdict: str
    why: str


def verified_rows(document: Mapping[str, Any]) -> list[VerifiedRow]:
    """All trials of the document, the latest first; empty where none was made."""
    runs = document.get("verified", {}).get("runs", [])
    return [row for run in reversed(runs) for row in run_rows(run)]


def verified_line(document: Mapping[str, Any]) -> str:
    """How the predictions of this target did; "" where none was tried."""
    section = document.get("verified")
    if section is None:
        return ""
    tried, decided = section["tried"], section["decided"]
    many = "one prediction was tried" if tried == 1 else f"{tried} predictions were tried"
    if not decided:
        return f"{many}; no figure of it could be decided".capitalize()
    told = f"{section['inside']} of {decided} figures that could be decided were inside"
    error = section.get("error_p50_share")
    off = "" if error is None else f"; the middle missed the cost by {figures.percent(error)}"
    return f"{many}: {told} ({figures.percent(section['coverage'])}){off}".capitalize()


def run_rows(run: Mapping[str, Any]) -> list[VerifiedRow]:
    """The figures of one trial."""
    return [
        VerifiedRow(
            first=place == 0,
            steps=" + ".join(run["steps"]),
            day=run["created"][:10],
            metric=_METRIC.get(figure["metric"], figure["metric"]),
            predicted=_range(figure["predicted"]),
            measured=_measured(figure.get("measured")),
            verdict=_VERDICT[figure["verdict"]],
            why=figure["why"],
        )
        for place, figure in enumerate(run["figures"])
    ]


def verified_text(run: Mapping[str, Any]) -> str:
    """One trial for a terminal."""
    rows = run_rows(run)
    lines = [
        f"{' + '.join(run['steps'])}, predicted from {run['recording']}",
        run["how"],
        "",
        f"{'change of':<20}{'predicted':<20}{'measured':<29}verdict",
        *(f"{r.metric:<20}{r.predicted:<20}{r.measured:<29}{r.verdict}" for r in rows),
    ]
    reasons = dict.fromkeys(row.why for row in rows if row.why)
    lines += ["", *(f"cannot tell: {why}" for why in reasons)] if reasons else []
    lines += ["", *run["notes"]] if run["notes"] else []
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ") + "\n"


def _measured(ratio: Mapping[str, float] | None) -> str:
    return "not measured" if ratio is None else f"{_signed(ratio['mid'])} ({_range(ratio)})"


def _range(ratio: Mapping[str, float]) -> str:
    low, high = (_signed(ratio[end]) for end in ("low", "high"))
    if low == high:
        return high
    return f"{low.split(figures.POINT)[0]}{figures.RANGE}{high}"


def _signed(ratio: float) -> str:
    change = figures.percent(ratio - 1)
    return change if ratio < 1 else f"+{change}"

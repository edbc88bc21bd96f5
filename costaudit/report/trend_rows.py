"""A trend over several runs in words, and as text for a terminal or for Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One run."""

    run: str
    created: str
    cost: str
    between: str
    drift: str  # "" where it lies with the others
    verdict: str
    notes: tuple[str, ...]  # what forbids a comparison, what changed


def trend_rows(document: Mapping[str, Any]) -> list[TrendRow]:
    """The runs in order."""
    return [_row(run, dollars=document["unit"] == "usd") for run in document["runs"]]


def _row(run: Mapping[str, Any], *, dollars: bool) -> TrendRow:
    costs = (run["cost"], None) if dollars else (None, run["cost"])
    bounds = {"low": run["low"], "high": run["high"]}
    return TrendRow(
        run=run["run"],
        created=run["created_utc"][:16].replace("T", " "),
        cost=figures.per_million(*costs),
        between=figures.interval(bounds, dollars=dollars),
        drift=(drift := _drift(run["drift"])),
        verdict=drift or ("not comparable" if run["apart"] else "as before"),
        notes=(
            *(f"not comparable with the run before ({text})" for text in run["apart"]),
            *(f"changed ({text})" for text in run["changed"]),
        ),
    )


def _drift(drift: Mapping[str, Any] | None) -> str:
    if drift is None:
        return ""
    ends = sorted((drift["low_share"], drift["high_share"]), key=abs)
    way = "dearer" if drift["low_share"] > 0 else "cheaper"
    return f"{figures.percent_range(*map(abs, ends))} {way} than {drift['against']}"


def trend_text(document: Mapping[str, Any], *, width: int = 80) -> str:
    """The trend for a terminal; drift stands under its run, so that names may be long."""
    import textwrap

    lines = ["Cost per 1M tokens over the runs, in the order of their recording", ""]
    for place, row in enumerate(trend_rows(document), start=1):
        head = f"{place:>3}  {row.cost:<14} {row.between:<24} {row.created}"
        lines += [head.rstrip(), *textwrap.wrap(row.run, width - 5, **_INDENT)]
        for note in (row.drift and f"! drift: {row.drift}", *row.notes):
            lines += textwrap.wrap(note, width - 5, **_INDENT) if note else []
    text = "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")
    return text + "\n"


_INDENT: dict[str, Any] = {"initial_indent": "     ", "subsequent_indent": "       "}

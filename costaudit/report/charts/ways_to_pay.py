"""What each way to pay costs a month: the mean, and what one month of twenty exceeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import ACCENT, INK, OPEN, WASTE, Chart, colours, tooltip, values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_MOST = 12  # options, cheapest first
_ROW = 26  # CSS px
_MARKS = {"advised": ACCENT, "possible": OPEN, "not advised": WASTE}


def _spec(document: Mapping[str, Any]) -> Spec | None:
    rows = _rows(document["pricing"])
    if not rows:
        return None
    y = {"field": "way", "type": "nominal", "title": None, "sort": [row["way"] for row in rows]}
    axis = {"labelLimit": 260, "ticks": False, "domain": False, "labelColor": "var(--ink)"}
    x = {"type": "quantitative", "title": "USD per month"}
    told = tooltip(way="", mean="mean", p95="one month of twenty exceeds", mark="")
    bar = {
        "mark": {"type": "bar", "height": 14},
        "encoding": {
            "y": y | {"axis": axis},
            "x": x | {"field": "usd", "axis": {"format": "~s"}},
            "color": colours("mark", _MARKS),
            "tooltip": told,
        },
    }
    tick = {
        "mark": {"type": "tick", "color": INK, "thickness": 2, "size": 18},
        "encoding": {"y": y, "x": x | {"field": "usd_p95"}, "tooltip": told},
    }
    return {"data": values(rows), "layer": [bar, tick], "height": _ROW * len(rows)}


def _rows(pricing: Mapping[str, Any]) -> list[dict[str, Any]]:
    cheapest = sorted(pricing["options"], key=lambda o: o["usd_per_month"]["mean"])[:_MOST]
    return [
        {
            "way": option.get("title", option["id"]),
            "usd": option["usd_per_month"]["mean"],
            "usd_p95": option["usd_per_month"]["p95"],
            "mean": figures.usd(option["usd_per_month"]["mean"]),
            "p95": figures.usd(option["usd_per_month"]["p95"]),
            "mark": _mark(option, pricing["best"]),
        }
        for option in cheapest
    ]


def _mark(option: Mapping[str, Any], best: str | None) -> str:
    if option["id"] == best:
        return "advised"
    return "possible" if option.get("advised", True) else "not advised"


def _says(document: Mapping[str, Any]) -> str:
    rows = _rows(document["pricing"])
    first, last = rows[0], rows[-1]
    return (
        f"From {first['mean']} a month ({first['way']}) to {last['mean']} ({last['way']}). "
        "The bar is the mean of the drawn months, the mark what one month of twenty exceeds."
    )


CHART = Chart(title="What each way costs a month", needs=("pricing",), spec=_spec, says=_says)

"""Cost per 1M tokens over several runs, with its interval and with drift marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report.chart import ACCENT, WASTE, Chart, colours, tooltip, values
from costaudit.report.trend_rows import trend_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_KINDS = {"as before": ACCENT, "drifted": WASTE}


def _spec(document: Mapping[str, Any]) -> Spec | None:
    rows = [
        {
            "place": place,
            "run": row.run,
            "cost": run["cost"],
            "low": run["low"],
            "high": run["high"],
            "told": row.cost,
            "between": row.between,
            "kind": "drifted" if run["drift"] else "as before",
            "drift": row.drift,
        }
        for place, (run, row) in enumerate(
            zip(document["runs"], trend_rows(document), strict=True), start=1
        )
    ]
    unit = "USD" if document["unit"] == "usd" else "device-seconds"
    y = {"type": "quantitative", "title": f"{unit} per 1M tokens"}
    axis = {"tickMinStep": 1, "grid": False, "format": "d"}
    x = {"field": "place", "type": "quantitative", "title": "run, as recorded", "axis": axis}
    x["scale"] = {"domain": [0.5, len(rows) + 0.5], "nice": False}
    line = {"mark": {"type": "line", "strokeWidth": 1.5, "color": ACCENT}}
    bar = {"mark": {"type": "rule", "strokeWidth": 6, "opacity": 0.3}}
    dot = {"mark": {"type": "point", "filled": True, "size": 90, "opacity": 1}}
    told = {
        "color": colours("kind", _KINDS),
        "tooltip": tooltip(run="", told="cost", between="range", drift="drift"),
    }
    ends = {"y": y | {"field": "low"}, "y2": {"field": "high"}}
    point = {"y": y | {"field": "cost", "scale": {"zero": True}}}
    return {
        "data": values(rows),
        "encoding": {"x": x},
        "layer": [
            line | {"encoding": point},
            bar | {"encoding": {**ends, **told}},
            dot | {"encoding": {**point, **told}},
        ],
    }


def _says(document: Mapping[str, Any]) -> str:
    rows = trend_rows(document)
    drifted = [row for row in rows if row.drift]
    text = f"{len(rows)} runs, from {rows[0].cost} to {rows[-1].cost} per 1M tokens"
    if not drifted:
        return f"{text}; no run lies apart from the one before it or from the first."
    return f"{text}; drift: " + "; ".join(f"{row.run} {row.drift}" for row in drifted) + "."


CHART = Chart(title="Cost over the runs", needs=("runs",), spec=_spec, says=_says)

"""The waterfall from the speed of light to the bill: one floating bar per slice that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import bill_rows, figures
from costaudit.report.chart import IDEAL, MUTED, OPEN, WASTE, Chart, colours, tooltip, values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_KINDS = {
    bill_rows.IDEAL: ("at the speed of light", IDEAL),
    bill_rows.WASTE: ("waste with a name", WASTE),
    bill_rows.OPEN: ("unexplained", OPEN),
}
_ROW = 19  # CSS px: the whole stands on the first screen
_LABEL = 0.12  # of the bill, right of the last bar
_SEEN = 0.0005  # of the bill; thinner slices stand in the table only


def _spec(document: Mapping[str, Any]) -> Spec | None:
    rows = _rows(document)
    if not rows:
        return None
    order = [row["slice"] for row in rows]
    y = {"field": "slice", "type": "nominal", "title": None, "sort": order}
    axis = {"labelLimit": 220, "ticks": False, "domain": False, "labelColor": "var(--ink)"}
    right = max(1.0, *(row["end"] for row in rows)) + _LABEL
    x = {"type": "quantitative", "title": None, "scale": {"domain": [0, right], "nice": False}}
    ticks = {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1], "domain": False}
    kinds = dict(_KINDS.values())
    bar = {
        "mark": {"type": "bar", "height": 13, "minBandSize": 2},
        "encoding": {
            "y": y | {"axis": axis},
            "x": x | {"field": "from", "axis": ticks},
            "x2": {"field": "to"},
            "color": colours("kind", kinds),
            "tooltip": tooltip(slice="", kind="is", share="share", cost="per 1M", time="device"),
        },
    }
    label = {
        "mark": {"type": "text", "align": "left", "dx": 6, "color": MUTED, "fontSize": 12},
        "encoding": {"y": y, "x": x | {"field": "end"}, "text": {"field": "share"}},
    }
    return {"data": values(rows), "layer": [bar, label], "height": _ROW * len(rows)}


def _rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "slice": row.title,
            "kind": _KINDS[row.kind][0],
            "from": row.start,
            "to": row.start + row.share,
            "end": max(row.start, row.start + row.share),
            "share": row.share_text,
            "cost": row.cost,
            "time": row.gpu_s,
        }
        for row in bill_rows.slice_rows(document["bill"])
        if row.share is not None and abs(row.share) > _SEEN
    ]


def _says(document: Mapping[str, Any]) -> str:
    rows = bill_rows.slice_rows(document["bill"])
    sums = bill_rows.shares_by_kind(rows)
    wasted = [row for row in rows if row.kind == bill_rows.WASTE and row.share]
    text = f"work at the speed of light is {bill_rows.ideal_text(rows)}"
    if wasted:
        most = max(wasted, key=lambda row: row.share or 0.0)
        part = "waste" if bill_rows.ideal_is_known(rows) else "part with a name"
        text += f"; the largest {part} is {most.title.lower()}, {most.share_text}"
    text = figures.sentence(text).rstrip(".")
    return f"{text}; {figures.percent(sums[bill_rows.OPEN])} is unexplained."


CHART = Chart(title="From the speed of light to the bill", needs=("bill",), spec=_spec, says=_says)

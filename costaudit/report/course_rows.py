"""The run over time as rows for charts: gauges in words, spans of work behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import IDEAL, OPEN, WASTE, colours, tooltip, values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.report.chart import Spec

Titles = Mapping[tuple[str, str], str]  # of gauges, by meter and name
TIME = {"axis": {"grid": False}, "scale": {"zero": False, "nice": False}}
_SPANS = {
    "prefill": ("prefill", IDEAL),
    "decode": ("decode", WASTE),
    "replay": ("replay of the workload", IDEAL),
    "ladder": ("ladder of concurrencies", WASTE),
    "step": ("step probes", OPEN),
}


def gauge_rows(gauges: Sequence[Mapping[str, Any]], titles: Titles) -> list[Any]:
    """One row per gauge and part of the time; gauges without a title are left out."""
    return [
        {
            "gauge": titles[gauge["meter"], gauge["name"]],
            "t": t_s,
            "low": low,
            "high": high,
            "at": figures.duration(t_s),
            "between": _between(low, high, gauge["unit"]),
        }
        for gauge in gauges
        if (gauge["meter"], gauge["name"]) in titles
        for t_s, low, high in zip(gauge["t_s"], gauge["low"], gauge["high"], strict=True)
    ]


def _between(low: float, high: float, unit: str) -> str:
    if unit == "share":
        return figures.percent_range(low, high)
    first, last = figures.significant(low), figures.significant(high)
    return first if first == last else f"{first}{figures.RANGE}{last}"


def span_layer(spans: Sequence[Mapping[str, Any]]) -> Spec | None:
    """Tinted bands of what was done; None where nothing of it is known."""
    rows = [
        {
            "doing": _SPANS[span["kind"]][0],
            "from": span["from_s"],
            "to": span["to_s"],
            "took": figures.duration(span["to_s"] - span["from_s"]),
        }
        for span in spans
        if span["kind"] in _SPANS
    ]
    if not rows:
        return None
    seen = {span["kind"] for span in spans}
    shown = dict(pair for kind, pair in _SPANS.items() if kind in seen)
    return {
        "data": values(rows),
        "mark": {"type": "rect", "opacity": 0.16},
        "encoding": {
            "x": {"field": "from", "type": "quantitative"},
            "x2": {"field": "to"},
            "color": colours("doing", shown),
            "tooltip": tooltip(doing="", took="for"),
        },
    }

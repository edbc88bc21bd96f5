"""Which way to pay is cheapest, over factors on today's volume and prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import (
    ACCENT,
    INK,
    OPEN,
    WASTE,
    Chart,
    colours,
    quantity,
    tooltip,
    values,
)
from costaudit.report.pricing_rows import FACTORS, titles_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.report.chart import Spec

_COLOURS = (ACCENT, WASTE, INK, OPEN)  # by first appearance; further ways share the last
_WIDEST = 16.0  # factors beyond it are not searched, see pricing/flips.py
_ROW = 44  # CSS px


def _spec(document: Mapping[str, Any]) -> Spec | None:
    bars = _bars(document["pricing"])
    if not bars:
        return None
    ways = list(dict.fromkeys(bar["way"] for bar in bars))
    named = {way: _COLOURS[min(place, len(_COLOURS) - 1)] for place, way in enumerate(ways)}
    drawn = list(dict.fromkeys(bar["what"] for bar in bars))
    ticks = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16]
    marks = "datum.value < 1 ? '1/' + round(1 / datum.value) : format(datum.value, 'd')"
    axis = {"values": ticks, "labelExpr": marks, "grid": False}
    ends = [1 / _WIDEST, _WIDEST]
    x = quantity("low", "times today's", axis=axis, log=True, scale={"domain": ends, "nice": False})
    plain = {"ticks": False, "domain": False, "labelColor": "var(--ink)"}
    y = {"field": "what", "type": "nominal", "title": None, "sort": drawn, "axis": plain}
    bar = {
        "data": values(bars),
        "mark": {"type": "bar", "height": 16, "stroke": "var(--card)", "strokeWidth": 1},
        "encoding": {
            "y": y,
            "x": x,
            "x2": {"field": "high"},
            "color": colours("way", named),
            "tooltip": tooltip(what="", way="cheapest", between="from"),
        },
    }
    today = {
        "data": values([{"at": 1}]),
        "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5},
        "encoding": {"x": {"field": "at", "type": "quantitative"}},
    }
    return {"layer": [bar, today], "height": _ROW * len(drawn)}


def _bars(pricing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each factor the stretches between its flips; the one that holds 1 is today's."""
    titles = titles_of(pricing)
    flips = [flip for flip in pricing.get("flip_points", ()) if flip["what"] in FACTORS]
    found = []
    for what, name in FACTORS.items():
        own = sorted((flip for flip in flips if flip["what"] == what), key=lambda f: f["at"])
        found += _stretches(name, own, titles)
    return found


def _stretches(
    name: str, flips: Sequence[Mapping[str, Any]], titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    if not flips:
        return []
    cuts = [1 / _WIDEST, *(flip["at"] for flip in flips), _WIDEST]
    ways = [flips[0]["below"], *(flip["above"] for flip in flips)]
    return [
        {
            "what": name,
            "low": low,
            "high": high,
            "way": titles.get(way, way),
            "between": f"{figures.significant(low)} to {figures.significant(high)} times today's",
        }
        for way, low, high in zip(ways, cuts, cuts[1:], strict=False)
    ]


def _says(document: Mapping[str, Any]) -> str:
    pricing = document["pricing"]
    bars = _bars(pricing)
    told = [
        f"{bar['way']} from {figures.significant(bar['low'])} times today's {bar['what']}"
        if bar["low"] >= 1
        else f"{bar['way']} below {figures.significant(bar['high'])} times today's {bar['what']}"
        for bar in bars
        if not bar["low"] < 1 < bar["high"]
    ]
    return f"The cheapest way changes: {'; '.join(told)}. The dashed line is today."


CHART = Chart(
    title="The cheapest way, by volume and prices", needs=("pricing",), spec=_spec, says=_says
)

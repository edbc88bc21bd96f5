"""How much a replica must be used before it beats a token API, beside today's use."""

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
from costaudit.report.pricing_rows import titles_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_MOST = 12  # thresholds drawn, the lowest first
_ROW = 26  # CSS px
_PAYS, _NOT_YET, _NEVER = "wins at today's use", "would win at more use", "wins at no use"
_KINDS = {_PAYS: ACCENT, _NOT_YET: OPEN, _NEVER: WASTE}


def _spec(document: Mapping[str, Any]) -> Spec | None:
    rows = _rows(document["pricing"])
    if not rows:
        return None
    plain = {"ticks": False, "domain": False, "labelColor": "var(--ink)", "labelLimit": 260}
    sort = [row["what"] for row in rows]
    y = {"field": "what", "type": "nominal", "title": None, "sort": sort, "axis": plain}
    most = max(1.0, *(row["at"] for row in rows))
    scale = {"domain": [0, most]}
    x = quantity("at", "share of a replica's time in use", axis={"format": "%"}, scale=scale)
    dots = {
        "data": values(rows),
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
        "encoding": {
            "y": y,
            "x": x,
            "color": colours("kind", _KINDS),
            "tooltip": tooltip(what="", told="from", kind=""),
        },
    }
    today = _today(document["pricing"])
    layers = [dots]
    if today is not None:
        rule = {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5, "color": INK}
        at = {"field": "at", "type": "quantitative"}
        layers.append({"data": values([{"at": today}]), "mark": rule, "encoding": {"x": at}})
    return {"layer": layers, "height": _ROW * len(rows)}


def _rows(pricing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Thresholds of use, of each way to have a replica against each API."""
    titles = titles_of(pricing)
    today = _today(pricing)
    found = {
        f"{_name(titles, flip['above'])} over {_name(titles, flip['below'])}": flip["at"]
        for flip in pricing.get("flip_points", ())
        if flip["what"] == "utilization"
    }
    lowest = sorted(found.items(), key=lambda pair: pair[1])[:_MOST]
    return [
        {"what": what, "at": at, "told": figures.percent(at), "kind": _kind(at, today)}
        for what, at in lowest
    ]


def _kind(at: float, today: float | None) -> str:
    if at > 1:
        return _NEVER
    return _PAYS if today is not None and at <= today else _NOT_YET


def _today(pricing: Mapping[str, Any]) -> float | None:
    """Mean use of replicas that come and go with the need."""
    need = pricing.get("need", {})
    replicas, fluid = need.get("mean_replicas"), need.get("mean_fluid")
    return fluid / replicas if replicas and fluid is not None else None


def _name(titles: Mapping[str, str], identity: str) -> str:
    return titles.get(identity, identity)


def _says(document: Mapping[str, Any]) -> str:
    rows, today = _rows(document["pricing"]), _today(document["pricing"])
    first, wins = rows[0], sum(row["kind"] == _PAYS for row in rows)
    text = f"A replica wins over an API from {first['told']} of use ({first['what']})"
    if today is None:
        return f"{text}."
    return (
        f"{text}; {wins} of {len(rows)} such choices win at today's {figures.percent(today)} "
        "(dashed; replicas that come and go with the need)."
    )


CHART = Chart(
    title="From how much use a replica beats an API", needs=("pricing",), spec=_spec, says=_says
)

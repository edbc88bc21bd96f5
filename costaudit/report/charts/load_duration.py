"""How many replicas are needed for how much of the time, beside what a commitment would hold."""

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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_NEEDED = "needed"
_LEVELS = (WASTE, INK, OPEN)  # committed levels drawn; more would lie on each other


def _spec(document: Mapping[str, Any]) -> Spec | None:
    pricing = document["pricing"]
    levels = pricing.get("need", {}).get("load_duration", ())
    if not max((level["replicas"] for level in levels), default=0):
        return None
    held = _committed(pricing)
    named = dict(zip((_NEEDED, *held), (ACCENT, *_LEVELS), strict=False))
    x = quantity(
        "share",
        "share of the time",
        axis={"format": "%", "grid": False},
        scale={"domain": [0, 1]},
    )
    encoding = {
        "x": x,
        "y": quantity("replicas", "replicas", axis={"tickMinStep": 1}),
        "color": colours("kind", named),
        "tooltip": tooltip(kind="", count="replicas", time="for at least"),
    }
    curve = {"type": "area", "interpolate": "step-before", "opacity": 0.25, "line": True}
    lines = {"type": "line", "strokeDash": [7, 4], "strokeWidth": 2}
    layers = [{"data": values(_curve(levels)), "mark": curve, "encoding": encoding}]
    if held:
        layers.append({"data": values(_flat(held)), "mark": lines, "encoding": encoding})
    return {"layer": layers}


def _curve(levels: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The level that begins at each share of the time; the last goes on to the end."""
    rows = [_point(_NEEDED, level["share"], level["replicas"]) for level in levels]
    return [*rows, _point(_NEEDED, 0.0, levels[-1]["replicas"])]


def _flat(held: Mapping[str, int]) -> list[dict[str, Any]]:
    return [_point(name, share, count) for name, count in held.items() for share in (0.0, 1.0)]


def _point(kind: str, share: float, replicas: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "share": share,
        "replicas": replicas,
        "count": figures.count(replicas),
        "time": figures.percent(share),
    }


def _committed(pricing: Mapping[str, Any]) -> dict[str, int]:
    """Replicas of the cheapest option of each commitment, the advised one before all others."""
    found: dict[str, int] = {}
    best_first = sorted(pricing["options"], key=lambda o: o["id"] != pricing["best"])
    for option in best_first:
        committed = option.get("committed")
        if committed and committed["replicas"] and committed["term_months"]:
            found.setdefault(committed["way"], committed["replicas"])
    shown = list(found.items())[: len(_LEVELS)]
    return {f"{count} {way}, committed": count for way, count in shown}


def _says(document: Mapping[str, Any]) -> str:
    need = document["pricing"]["need"]
    return (
        f"Replicas needed: {figures.significant(need['mean_replicas'])} on average, at most "
        f"{figures.count(need['most_replicas'])}. What lies above a committed level is rented by "
        "the hour; what lies below it is paid for whether used or not."
    )


CHART = Chart(
    title="Replicas needed, by share of the time", needs=("pricing",), spec=_spec, says=_says
)

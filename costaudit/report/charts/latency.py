"""TTFT and ITL as whole distributions, with the limits of the workload's SLO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import IDEAL, INK, WASTE, Chart, colours, quantity, tooltip, values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_KINDS = {
    "TTFT": ("prefill", "ttft_s", IDEAL),
    "ITL": ("decode", "itl_s", WASTE),
}
_FASTEST_S = 1e-6  # a logarithmic axis knows no zero; the client's clock no less


def _spec(document: Mapping[str, Any]) -> Spec | None:
    rows = _rows(document)
    if not rows:
        return None
    named = {name: colour for name, (_, _, colour) in _KINDS.items()}
    format_ms = "datum.value < 1 ? format(datum.value * 1000, '~g') + ' ms' : datum.value + ' s'"
    x = quantity("seconds", None, log=True, axis={"labelExpr": format_ms, "grid": False})
    y = quantity("share", "share at most this long", axis={"format": "%"}, scale={"domain": [0, 1]})
    color = colours("kind", named)
    curve = {
        "data": values(rows),
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2.5},
        "encoding": {
            "x": x,
            "y": y,
            "color": color,
            "tooltip": tooltip(kind="", at="at most", of="share"),
        },
    }
    limits = _limits(document)
    if not limits:
        return curve
    rule = {
        "data": values(limits),
        "mark": {"type": "rule", "strokeDash": [6, 4], "strokeWidth": 1.5},
        "encoding": {"x": x, "color": color, "tooltip": tooltip(kind="", at="SLO")},
    }
    text = {
        "data": values(limits),
        "mark": {"type": "text", "align": "left", "dx": 4, "y": 8, "color": INK},
        "encoding": {"x": x, "text": {"field": "label"}},
    }
    return {"layer": [curve, rule, text]}


def _rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "kind": name,
            "seconds": max(seconds, _FASTEST_S),
            "share": share,
            "at": figures.duration(seconds),
            "of": figures.percent(share),
        }
        for name, (phase, key, _) in _KINDS.items()
        for share, seconds in document["phases"][phase][key].get("curve", ())
    ]


def _limits(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    slo = document.get("workload", {}).get("slo", {})
    return [
        {
            "kind": name,
            "seconds": slo[key],
            "label": f"SLO {name}",
            "at": figures.duration(slo[key]),
        }
        for name, (_, key, _) in _KINDS.items()
        if slo.get(key)
    ]


def _says(document: Mapping[str, Any]) -> str:
    told = []
    for name, (phase, key, _) in _KINDS.items():
        times = document["phases"][phase][key]
        if times.get("curve"):
            p50, p95 = figures.duration(times["p50"]), figures.duration(times["p95"])
            most = figures.duration(times["curve"][-1][1])
            count = figures.count(times.get("samples"))
            told.append(f"{name}: median {p50}, p95 {p95}, slowest {most} of {count}")
    return "; ".join(told) + "."


CHART = Chart(
    title="How long users wait: first token and each next token",
    needs=("phases",),
    spec=_spec,
    says=_says,
)

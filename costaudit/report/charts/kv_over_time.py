"""How full a server's KV cache was over time, with the requests that ran and waited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import ACCENT, INK, WASTE, Chart, colours, quantity, tooltip, values
from costaudit.report.course_rows import TIME, gauge_rows, span_layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_FULL = {("server", "kv.usage_fraction"): "KV cache in use"}
_REQUESTS = {
    ("server", "requests.running"): "requests running",
    ("server", "requests.waiting"): "requests waiting",
}


def _spec(document: Mapping[str, Any]) -> Spec | None:
    course = document["course"]
    full, requests = (gauge_rows(course["gauges"], names) for names in (_FULL, _REQUESTS))
    if not full:
        return None
    named = {"KV cache in use": ACCENT, "requests running": INK, "requests waiting": WASTE}
    encoding = {
        "x": quantity("t", "seconds since the recording began", **TIME),
        "color": colours("gauge", named),
        "tooltip": tooltip(gauge="", at="at", between="between"),
    }
    share = quantity("high", "of the cache", axis={"format": "%"}, scale={"domain": [0, 1]})
    area = {"type": "area", "opacity": 0.35, "line": True}
    layers = [{"data": values(full), "mark": area, "encoding": {**encoding, "y": share}}]
    if requests:
        count = quantity("high", "requests", axis={"orient": "right", "grid": False})
        line = {"type": "line", "strokeWidth": 1.5, "interpolate": "step-after"}
        layers.append(
            {"data": values(requests), "mark": line, "encoding": {**encoding, "y": count}}
        )
    if (spans := span_layer(course["spans"])) is not None:
        spans["encoding"]["color"]["legend"] = None
        layers = [spans, *layers]
    return {
        "layer": layers,
        "resolve": {"scale": {"y": "independent", "color": "independent"}},
        "height": 240,
    }


def _says(document: Mapping[str, Any]) -> str:
    kv = document["kv_cache"]
    most = {
        gauge["name"]: max(gauge["high"], default=0.0)
        for gauge in document["course"]["gauges"]
        if (gauge["meter"], gauge["name"]) in {**_FULL, **_REQUESTS}
    }
    text = f"At most {figures.percent(most['kv.usage_fraction'])} of the cache was in use"
    if "requests.waiting" in most:
        text += f"; at most {figures.count(most['requests.waiting'])} requests waited"
    return f"{text}; preemptions: {figures.count(kv['preemptions'])}."


CHART = Chart(title="KV cache over time", needs=("course", "kv_cache"), spec=_spec, says=_says)

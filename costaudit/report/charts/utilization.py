"""How busy the device and the host were over time, with the phases behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import (
    ACCENT,
    INK,
    MUTED,
    OPEN,
    WASTE,
    Chart,
    colours,
    quantity,
    tooltip,
    values,
)
from costaudit.report.course_rows import TIME, gauge_rows, span_layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_NAMES = {
    "kernel_running_share": "a kernel runs (NVML)",
    "memory_accessed_share": "memory accessed at all (NVML)",
    "sm_active_share": "SMs busy",
    "tensor_active_share": "tensor cores busy",
    "dram_active_share": "DRAM busy",
    "own_cpu_share": "this process, of a core",
    "others_cpu_share": "other processes, of the cores",
}
_COLOURS = (ACCENT, WASTE, INK, OPEN, MUTED)


def _spec(document: Mapping[str, Any]) -> Spec | None:
    rows = gauge_rows(document["course"]["gauges"], _NAMES)
    if not rows:
        return None
    names = list(dict.fromkeys(row["gauge"] for row in rows))[: len(_COLOURS)]
    y = quantity("high", "share of the time", axis={"format": "%"})
    encoding: Spec = {
        "x": quantity("t", "seconds since the recording began", **TIME),
        "color": colours("gauge", dict(zip(names, _COLOURS, strict=False))),
        "tooltip": tooltip(gauge="", at="at", between="between"),
    }
    quiet = {**encoding["color"], "legend": None}
    shown = values([row for row in rows if row["gauge"] in names])
    band = {
        "data": shown,
        "mark": {"type": "area", "opacity": 0.25},
        "encoding": {**encoding, "y": y, "y2": {"field": "low"}, "color": quiet},
    }
    line = {"data": shown, "mark": {"type": "line", "strokeWidth": 1.5}}
    layers = [band, line | {"encoding": {**encoding, "y": y}}]
    if (spans := span_layer(document["course"]["spans"])) is not None:
        layers = [spans, *layers]
    return {"layer": layers, "resolve": {"scale": {"color": "independent"}}, "height": 240}


def _says(document: Mapping[str, Any]) -> str:
    told = []
    for gauge in document["course"]["gauges"]:
        if gauge["name"] in _NAMES and gauge["high"]:
            low, high = min(gauge["low"]), max(gauge["high"])
            told.append(f"{_NAMES[gauge['name']]} {figures.percent_range(low, high)}")
    return "Lowest to highest reading: " + "; ".join(told) + "."


CHART = Chart(title="How busy it was, and with what", needs=("course",), spec=_spec, says=_says)

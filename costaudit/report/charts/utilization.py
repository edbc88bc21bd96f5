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
from costaudit.report.course_rows import TIME, Titles, gauge_rows, span_layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

# By meter and name, the most telling first: only so many are drawn as there are colours.
_NAMES: Titles = {
    ("nvml.gpm", "dram_share"): "DRAM bandwidth, of the theoretical (GPM)",
    ("nvml.gpm", "sm_share"): "SMs busy (GPM)",
    ("nvml.gpm", "tensor_share"): "tensor cores busy (GPM)",
    ("dcgm", "dram_active_share"): "DRAM busy (DCGM)",
    ("dcgm", "sm_active_share"): "SMs busy (DCGM)",
    ("dcgm", "tensor_active_share"): "tensor cores busy (DCGM)",
    ("nvml.memory-accessed", "kernel_running_share"): "a kernel runs (NVML)",
    ("nvml.memory-accessed", "memory_accessed_share"): "memory accessed at all (NVML)",
    ("torch.memory", "fragmented_share"): "reserved memory between tensors (torch)",
    ("host", "own_cpu_share"): "this process, of the cores",
    ("host", "others_cpu_share"): "other processes, of the cores",
    ("host", "steal_cpu_share"): "other guests of the machine, of the cores",
}
_COLOURS = (ACCENT, WASTE, INK, OPEN, MUTED)
# An imported capture's gauges bear Nsight Systems' names, such as "SMs Active [Throughput %]".
_CAPTURE, _UNIT = "nsight", " ["
_CAPTURED_FIRST = ("SMs Active", "Tensor Active", "DRAM Read", "DRAM Write")


def _spec(document: Mapping[str, Any]) -> Spec | None:
    titles = _titles(document)
    rows = gauge_rows(document["course"]["gauges"], titles)
    if not rows:
        return None
    names = list(titles.values())[: len(_COLOURS)]
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


def _titles(document: Mapping[str, Any]) -> Titles:
    """The gauges that the recording has, the most telling first."""
    there = {(gauge["meter"], gauge["name"]) for gauge in document["course"]["gauges"]}
    titles = {key: title for key, title in _NAMES.items() if key in there}
    captured = sorted((_place(name), name) for meter, name in there if meter == _CAPTURE)
    return titles | {(_CAPTURE, name): name.partition(_UNIT)[0] for _, name in captured}


def _place(name: str) -> int:
    known = (n for n, first in enumerate(_CAPTURED_FIRST) if name.startswith(first))
    return next(known, len(_CAPTURED_FIRST))


def _says(document: Mapping[str, Any]) -> str:
    gauges = {(gauge["meter"], gauge["name"]): gauge for gauge in document["course"]["gauges"]}
    told = []
    for key, title in _titles(document).items():
        low, high = min(gauges[key]["low"]), max(gauges[key]["high"])
        told.append(f"{title} {figures.percent_range(low, high)}")
    return "Lowest to highest reading: " + "; ".join(told) + "."


CHART = Chart(title="How busy it was, and with what", needs=("course",), spec=_spec, says=_says)

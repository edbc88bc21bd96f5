"""Prefill and decode on the roofline: measured points under measured and stated peaks.

Williams, Waterman and Patterson, "Roofline", CACM 2009: attainable FLOP/s is the smaller of the
peak and of FLOP per byte times the bandwidth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.chart import (
    IDEAL,
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

_ROOFS = {
    "measured peak": ("peak_flops", "peak_bandwidth_bytes_per_s"),
    "datasheet": ("datasheet_flops", "datasheet_bandwidth_bytes_per_s"),
}
_MARGIN = 3.0  # the roof goes on this many times beyond the outermost points


def _spec(document: Mapping[str, Any]) -> Spec | None:
    points, peaks = _points(document), _peaks(document)
    if not points or not peaks:
        return None
    roofs = [row for name, pair in peaks.items() for row in _roof(name, *pair, points)]
    x = quantity("intensity", "FLOP per byte", log=True, axis={"grid": False, "format": "~g"})
    y = quantity("flops", "FLOP/s", log=True, axis={"format": ".0s", "tickCount": 4})
    roof = {
        "data": values(roofs),
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": x,
            "y": y,
            "color": colours("kind", {"measured peak": INK, "datasheet": OPEN}),
            "strokeDash": {"field": "kind", "type": "nominal", "legend": None},
            "tooltip": tooltip(kind="roof", told="peaks"),
        },
    }
    dots = {
        "data": values(points),
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 0.9},
        "encoding": {
            "x": x,
            "y": y,
            "color": colours("kind", {"prefill": IDEAL, "decode": WASTE}),
            "shape": {"field": "kind", "type": "nominal", "legend": None},
            "tooltip": tooltip(label="probe", at="reached", of="of the measured roof"),
        },
    }
    return {"layer": [roof, dots], "resolve": {"scale": {"color": "independent"}}, "height": 340}


def _peaks(document: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    device, found = document["device"], {}
    for name, (flops, bandwidth) in _ROOFS.items():
        pair = [(device.get(key) or {}).get("value") for key in (flops, bandwidth)]
        if pair[0] and pair[1]:
            found[name] = (float(pair[0]), float(pair[1]))
    return found


def _points(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    measured = _peaks(document).get("measured peak")
    return [
        {
            "kind": phase,
            "label": point["label"],
            "intensity": point["flops_per_byte"],
            "flops": point["flops_per_s"],
            "at": figures.rate(point["flops_per_s"], "FLOP/s"),
            "of": _of(point, measured),
        }
        for phase in ("prefill", "decode")
        for point in document["phases"][phase].get("roofline", ())
        if point["flops_per_byte"] > 0 and point["flops_per_s"] > 0
    ]


def _of(point: Mapping[str, Any], peaks: tuple[float, float] | None) -> str:
    if peaks is None:
        return figures.UNKNOWN
    roof = min(peaks[0], point["flops_per_byte"] * peaks[1])
    return figures.percent(point["flops_per_s"] / roof)


def _roof(
    name: str, flops: float, bandwidth: float, points: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The slope up to the ridge, then the flat part."""
    ridge, xs = flops / bandwidth, [point["intensity"] for point in points]
    ends = (min(*xs, ridge) / _MARGIN, ridge, max(*xs, ridge) * _MARGIN)
    told = f"{figures.rate(flops, 'FLOP/s')}, {figures.rate(bandwidth, 'B/s')}"
    return [
        {"kind": name, "told": told, "intensity": x, "flops": min(flops, x * bandwidth)}
        for x in ends
    ]


def _says(document: Mapping[str, Any]) -> str:
    told = []
    for name, (flops, bandwidth) in _peaks(document).items():
        ridge = figures.significant(flops / bandwidth)
        rates = f"{figures.rate(flops, 'FLOP/s')} and {figures.rate(bandwidth, 'B/s')}"
        told.append(f"{name} {rates}, ridge at {ridge} FLOP per byte")
    best = max(_points(document), key=lambda point: point["flops"])
    return (
        f"The closer to the roof, the better the device is used: {'; '.join(told)}. "
        f"The fastest probe ({best['label']}) reaches {best['at']}, {best['of']} of its roof."
    )


CHART = Chart(
    title="Prefill and decode under the roof of this device",
    needs=("device", "phases"),
    spec=_spec,
    says=_says,
)

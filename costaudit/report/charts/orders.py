"""What is left to pay after each step, one line per order."""

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
from costaudit.report.step_rows import OrderRow, order_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Spec

_OTHERS = (WASTE, INK, OPEN)  # beside the best; further orders share the last
_MOST = 4  # lines: the best and those that say something beside it


def _spec(document: Mapping[str, Any]) -> Spec | None:
    drawn = _drawn(document)
    if len(drawn) < 2:  # noqa: PLR2004 - one line compares nothing
        return None
    dollars = document["bill"]["usd_per_1m_tokens"] is not None
    rows = [row for order in drawn for row in _points(order)]
    names = [order.name for order in drawn]
    left = "USD per 1M tokens left to pay" if dollars else "device-seconds per 1M tokens left"
    line = {
        "x": quantity("step", "steps taken", axis={"tickMinStep": 1, "grid": False}),
        "y": quantity("cost", left, scale={"zero": True}),
        "color": colours("order", dict(zip(names, (ACCENT, *_OTHERS), strict=False))),
        "strokeDash": {"field": "order", "type": "nominal", "legend": None},
        "tooltip": tooltip(order="order", done="after", left="left to pay"),
    }
    return {
        "data": values(rows),
        "encoding": line,
        "layer": [
            {"mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2.5}},
            {"mark": {"type": "point", "filled": True, "size": 70, "opacity": 1}},
        ],
    }


def _drawn(document: Mapping[str, Any]) -> list[OrderRow]:
    return [row for row in order_rows(document) if len(row.path) > 1][:_MOST]


def _points(order: OrderRow) -> list[dict[str, Any]]:
    named = [("today", ""), *order.steps]
    return [
        {
            "order": order.name,
            "step": place,
            "cost": cost,
            "done": title,
            "left": left or figures.significant(cost),
        }
        for place, (cost, (title, left)) in enumerate(zip(order.path, named, strict=True))
    ]


def _says(document: Mapping[str, Any]) -> str:
    drawn = _drawn(document)
    ends = "; ".join(f"{order.name}: {order.cost}" for order in drawn)
    return f"Left to pay per 1M tokens after the last step of each order. {ends}."


CHART = Chart(
    title="Cost after each step, by order",
    needs=("order", "bill", "playbook"),
    spec=_spec,
    says=_says,
)

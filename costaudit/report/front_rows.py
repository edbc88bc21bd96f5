"""The Pareto front of cost against latency as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.fact_rows import Grid
from costaudit.report.step_rows import broken

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("per 1M tokens", "TTFT p95", "ITL p95", "SLO", "steps")


def front_grid(document: Mapping[str, Any]) -> Grid | None:
    """Sets of steps that no other beats in all three; None where there is no choice to make."""
    order = document["order"]
    front = order.get("front", [])
    if len(front) < 2:  # noqa: PLR2004 -- one point is the best order, and no trade
        return None
    rows = [_row(point, order) for point in front]
    if all(point["ids"] for point in front):
        rows.append(_row(_today(document), order))
    return Grid(columns=COLUMNS, rows=tuple(rows))


def _today(document: Mapping[str, Any]) -> dict[str, Any]:
    """Where everything stands, for comparison; something on the front beats it."""
    bill, order = document["bill"], document["order"]
    return {
        "ids": [],
        "usd_per_1m": bill["usd_per_1m_tokens"],
        "gpu_s_per_1m_tokens": bill.get("gpu_s_per_1m_tokens"),
        **order["today_p95"],
        "breaks": order["today_breaks"],
    }


def _row(point: Mapping[str, Any], order: Mapping[str, Any]) -> tuple[str, ...]:
    kept = "kept" if order.get("slo") else "none declared"
    names = ", ".join(point["ids"]) or "as today"
    offered = " (the plan)" if set(point["ids"]) == set(order["best"]) else ""
    return (
        figures.per_million(point["usd_per_1m"], point["gpu_s_per_1m_tokens"]),
        figures.duration(point["ttft_s"]),
        figures.duration(point["itl_s"]),
        "broken: " + broken(point["breaks"]) if point["breaks"] else kept,
        names + offered,
    )

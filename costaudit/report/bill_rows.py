"""The bill as rows: one per slice, with the words and the bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IDEAL, WASTE, OPEN = "ideal", "waste", "open"
_NAMES = {
    "prefill_ideal": (IDEAL, "Prefill at the speed of light"),
    "decode_weights_ideal": (IDEAL, "Weights at full bandwidth"),
    "decode_kv_ideal": (IDEAL, "KV cache at full bandwidth"),
    "kernel_inefficiency": (WASTE, "Kernels below the hardware"),
    "step_overhead": (WASTE, "Launch, scheduling, host gaps"),
    "padding": (WASTE, "Padding of batches"),
    "duplicate_prefill": (WASTE, "Prefill done before"),
    "preemption": (WASTE, "Work redone after preemption"),
    "queue_idle": (WASTE, "Idle while requests wait"),
    "demand_idle": (WASTE, "Idle for lack of demand"),
    "unexplained": (OPEN, "Unexplained"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One bar of the waterfall; `start` and `share` are shares of the whole, for drawing."""

    title: str
    kind: str  # IDEAL, WASTE or OPEN
    start: float
    share: float | None
    share_text: str
    cost: str
    gpu_s: str
    band: str
    band_low: float | None  # as shares of the whole, where there is an interaction band
    band_high: float | None
    note: str


def slice_rows(bill: Mapping[str, Any]) -> list[SliceRow]:
    """All slices in the order of the waterfall."""
    rows, start = [], 0.0
    for entry in bill["slices"]:
        rows.append(_row(entry, bill, start))
        start += entry["share"] or 0.0
    return rows


def shares_by_kind(rows: Sequence[SliceRow]) -> dict[str, float]:
    """What is needed, what is waste with a name, and what nobody can explain."""
    sums = {IDEAL: 0.0, WASTE: 0.0, OPEN: 0.0}
    for row in rows:
        sums[row.kind] += row.share or 0.0
    return sums


def ideal_is_known(rows: Sequence[SliceRow]) -> bool:
    """Where it is not, work at the speed of light is part of a slice of waste."""
    return any(row.kind == IDEAL and row.share is not None for row in rows)


def ideal_text(rows: Sequence[SliceRow]) -> str:
    """The share of work at the speed of light; unknown where none of its slices is known."""
    return figures.percent(shares_by_kind(rows)[IDEAL] if ideal_is_known(rows) else None)


def slice_title(identity: str) -> str:
    """A slice as people call it."""
    return _NAMES.get(identity, (OPEN, identity))[1]


def _row(entry: Mapping[str, Any], bill: Mapping[str, Any], start: float) -> SliceRow:
    kind, title = _NAMES.get(entry["id"], (OPEN, entry["id"]))
    share, seconds, band = entry["share"], entry["gpu_s"], entry.get("band")
    whole = bill.get("gpu_s")
    per_million = bill.get("gpu_s_per_1m_tokens")
    gpu_s_per_1m = None if share is None or per_million is None else share * per_million
    known = share is not None
    ends = (band["low_s"] / whole, band["high_s"] / whole) if band and whole else (None, None)
    drawn = None if ends == (None, None) or ends[0] == ends[1] else ends
    return SliceRow(
        title=title,
        kind=kind,
        start=start,
        share=share,
        share_text=figures.percent(share),
        cost=figures.per_million(entry["usd_per_1m"], gpu_s_per_1m, like=bill["usd_per_1m_tokens"])
        if known
        else "",
        gpu_s=figures.duration(seconds),
        band=figures.percent_range(*drawn) if drawn and None not in drawn else "",
        band_low=drawn[0] if drawn else None,
        band_high=drawn[1] if drawn else None,
        note=_note(entry, known=known),
    )


def _note(entry: Mapping[str, Any], *, known: bool) -> str:
    if known:
        return str(entry.get("source") or "")
    inside = entry.get("inside")
    held = f"; it is part of “{slice_title(inside)}”" if inside else ""
    return f"{entry.get('why') or 'cannot be told apart'}{held}"

"""What bench/predict_vllm.py prints."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from predicting.judge import FIGURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from predicting.judge import Row

HEADS = {
    "tokens_per_s": ("tokens/s", 1.0, 0),
    "usd_per_1m": ("$ per 1M", 1.0, 3),
    "ttft_p50_s": ("TTFT, ms", 1e3, 1),
    "itl_p50_s": ("ITL, ms", 1e3, 2),
}


def as_text(rows: Sequence[Row], told: Mapping[str, Any]) -> str:
    """A table in Markdown: predicted (interval) beside measured, then the errors."""
    names = [HEADS[name][0] for name in FIGURES]
    lines = [
        f"| change | {' | '.join(f'{n}: predicted | measured' for n in names)} | saving |",
        f"|---|{'---|' * (2 * len(names) + 1)}",
    ]
    lines += [_line(row) for row in rows]
    lines += ["", "| error of | median | p90 |", "|---|---|---|"]
    lines += [
        f"| {HEADS[n][0]} | {told['median'][n]:.1%} | {told['p90'][n]:.1%} |" for n in FIGURES
    ]
    effect = told["effect_on_cost"]
    lines.append(f"| $ per 1M, after over before | {effect['median']:.1%} | {effect['p90']:.1%} |")
    lines += [
        "",
        f"{told['changes']} changes; Kendall's tau of their savings {told['tau']:.2f}",
        f"left out, for others used too much of the processors: {told['disturbed']}",
        f"90 % intervals held the measured value in {told['coverage']:.0%} of the cases",
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    cells = []
    for name in FIGURES:
        _, unit, digits = HEADS[name]
        told, seen = row.predicted[name], row.measured[name]
        low, mid, high = (f"{v * unit:.{digits}f}" for v in (told.low, told.value, told.high))
        mark = "" if told.holds(seen) else " !"
        cells += [f"{mid} ({low} to {high})", f"{seen * unit:.{digits}f}{mark}"]
    saving = f"{row.saving_predicted:+.0%}, measured {row.saving_measured:+.0%}"
    change = row.change or "unchanged"
    name = f"{row.baseline}: {change}{' (disturbed)' if row.disturbed else ''}"
    return f"| {name} | {' | '.join(cells)} | {saving} |"


def as_json(rows: Sequence[Row], told: Mapping[str, Any]) -> str:
    """The same as one document."""
    return json.dumps({"changes": [asdict(row) for row in rows], "summary": told}, indent=1)

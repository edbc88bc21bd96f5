"""Ways to pay in a terminal; fits 80 columns and reads as well without colour."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from costaudit.report.pricing_rows import PricingView, pricing_view
from costaudit.report.stale_prices import warned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

    from costaudit.report.fact_rows import Fact

WIDTH = 80
_CURVE_ROWS = 10  # of the load-duration curve
_BAR = 40


def pricing_text(pricing: Mapping[str, Any], *, width: int = WIDTH, colour: bool = False) -> str:
    """The section `pricing` as text of at most `width` columns."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    _print(console, pricing_view(pricing), pricing)
    text = out.getvalue().replace("\N{NO-BREAK SPACE}", " ")
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _print(console: Console, seen: PricingView, pricing: Mapping[str, Any]) -> None:
    console.print(seen.headline, style="bold")
    for warning in warned(seen):
        console.print(f"! {warning}", style="bold yellow")
    _heading(console, "Ways to pay, USD a month")
    _options(console, seen)
    for why in seen.why_not:
        console.print(f"! not advised: {why}", style="dim")
    _heading(console, "How many replicas are needed, and for how much of the time")
    _curve(console, pricing)
    if seen.engineering_first:
        _heading(console, "The contract comes last")
    for text in seen.engineering_first:
        console.print(text)
    _heading(console, "Where the answer flips")
    for text in seen.flips:
        console.print(text)
    _grid(console, seen.what_ifs.columns, seen.what_ifs.rows)
    _heading(console, "What this stands on")
    _facts(console, (*seen.facts, *seen.assumptions))
    _heading(console, "Prices")
    _facts(console, (*seen.prices, *seen.not_offered))


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold underline")


def _options(console: Console, seen: PricingView) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("")
    table.add_column("way")
    for name in ("committed", "mean", "p95", "per 1M", *(["over"] if seen.budgeted else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for row in seen.options:
        title = f"{row.title} ({row.note})" if row.note else row.title
        cells = (row.replicas, row.mean, row.p95, row.per_1m)
        table.add_row(
            row.mark,
            title,
            *cells,
            *([row.over] if seen.budgeted else []),
            style={"*": "bold", "!": "dim"}.get(row.mark, ""),
        )
    console.print(table)


def _curve(console: Console, pricing: Mapping[str, Any]) -> None:
    """The load-duration curve, lying down: one line per level, the committed ones marked."""
    levels = pricing["need"]["load_duration"]
    committed = _committed(pricing)
    step = max(1, -(-len(levels) // _CURVE_ROWS))
    for level in levels[::step]:
        bar = "█" * round(level["share"] * _BAR) or "▏"
        held = "committed" if 0 < level["replicas"] <= committed else ""
        line = f"{level['replicas']:>6} or more {bar:<{_BAR}} {level['share']:.2f} {held}"
        console.print(line.rstrip(), no_wrap=True)


def _committed(pricing: Mapping[str, Any]) -> int:
    best: Mapping[str, Any] = next(
        (o for o in pricing["options"] if o["id"] == pricing["best"]), {}
    )
    return int(best.get("committed", {}).get("replicas", 0))


def _grid(console: Console, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for place, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if place % 2 else "left"
        table.add_column(column, justify=justify)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _facts(console: Console, facts: Iterable[Fact]) -> None:
    for fact in facts:
        note = f" ({fact.note})" if fact.note else ""
        console.print(f"{fact.label}: {fact.text}{note}")

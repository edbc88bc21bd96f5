"""The audit in a terminal; fits 80 columns and reads as well without colour."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from costaudit.report.bill_rows import IDEAL, WASTE
from costaudit.report.stale_prices import warned
from costaudit.report.view import View, view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.table import Table

    from costaudit.report.bill_rows import SliceRow
    from costaudit.report.fact_rows import Fact, Grid

WIDTH = 80
_BESIDE_BAR = 65  # columns that the waterfall's words and figures take
_NARROW_BAR = 10
_CODE_LINES = 4
_GLYPH = {IDEAL: "█", WASTE: "▓"}
_STYLE = {IDEAL: "green", WASTE: "yellow"}
_FULL_TABLE = 76  # columns below which the table of steps leaves out its last column


def console_text(document: Mapping[str, Any], *, width: int = WIDTH, colour: bool = False) -> str:
    """The audit as text of at most `width` columns, with ANSI colours where wanted."""
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
    _print(console, view(document))
    text = out.getvalue().replace("\N{NO-BREAK SPACE}", " ")  # it kept words together, no more
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _print(console: Console, seen: View) -> None:
    console.print(seen.model, style="bold")
    console.print(seen.subtitle, style="dim")
    for warning in warned(seen):
        console.print(f"! {warning}", style="bold yellow")
    console.print()
    console.print(f"{seen.cost} {seen.cost_unit}", style="bold")
    console.print(" · ".join(seen.cost_lines), style="dim")
    console.print(seen.summary)
    _heading(console, "Where it goes")
    console.print(_waterfall(console, seen))
    for note, titles in _untold(seen).items():
        console.print(f"  {', '.join(titles)}: {note}.", style="dim")
    _print_first(console, seen)
    if seen.steps or seen.other_steps:
        _heading(console, "Playbook")
        console.print(_playbook(console, seen))
    for step in seen.other_steps:
        console.print(f"  {step.title} ({step.id}) {step.verdict}: {step.why_not}", style="dim")
    for step in (*seen.steps, *seen.other_steps):
        if step.stranded:
            console.print(f"{step.title}: {step.stranded}.")
    _print_orders(console, seen)
    _print_verified(console, seen)
    _print_phases(console, seen)
    _print_rest(console, seen)


def _untold(seen: View) -> dict[str, list[str]]:
    """Slices that cannot be told, by the reason."""
    found: dict[str, list[str]] = {}
    for row in seen.slices:
        if row.share is None:
            found.setdefault(row.note, []).append(row.title)
    return found


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold underline")


def _grid(*columns: str) -> Table:
    """A table without lines; ">" and "<" say how each column stands, "!" that it never wraps."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column[0] == ">" else "left"
        table.add_column(column[1:], justify=justify, no_wrap=column[0] == "!")
    return table


def _waterfall(console: Console, seen: View) -> Table:
    from rich.text import Text

    wide = console.width >= WIDTH
    size = console.width - _BESIDE_BAR if wide else _NARROW_BAR
    table = _grid("!", "!", ">share", ">per 1M", *(["!range"] if wide else []))
    for row in seen.slices:
        table.add_row(
            row.title,
            Text(_bar(row, size), style=_STYLE.get(row.kind, "")),
            row.share_text,
            row.cost.removesuffix(" device-s"),
            *([row.band] if wide else []),
        )
    return table


def _bar(row: SliceRow, size: int) -> str:
    """A bar at its place in the whole; a slice too thin to be drawn is a thin line."""
    if not row.share:
        return ""
    first = min(round(max(row.start, 0.0) * size), size - 1)
    last = min(round((row.start + row.share) * size), size)
    return " " * first + (_GLYPH.get(row.kind, "░") * (last - first) or "▏")


def _print_first(console: Console, seen: View) -> None:
    from rich.padding import Padding

    _heading(console, "Do this first")
    for step in seen.first_steps:
        console.print(f"{step.rank}. {step.title}", style="bold")
        dollars = f" ({step.added_usd})" if step.added_usd else ""
        needed = f", {step.needed_by} needs it" if step.needed_by else ""
        saves = f"saves {step.added}{dollars}" if step.saves else f"saves nothing itself{needed}"
        after = f"; then {step.after} per 1M" if step.after else ""
        lines = [f"{saves}{after}", f"{step.effort} · {step.risk} · {step.confidence}"]
        lines += [f"because {text}" for text in step.evidence[:2]]
        for line in lines:
            console.print(Padding(line, (0, 0, 0, 3)))
        for line in _code(step.snippet):
            console.print(f"     {line}", no_wrap=True, overflow="ellipsis", style="cyan")
    console.print(seen.plan_line)


def _code(snippet: str) -> list[str]:
    """The first lines of a snippet that do something."""
    lines = [line for line in snippet.splitlines() if line.strip() and not line.startswith("#")]
    return [*lines[:_CODE_LINES], *(["…"] if len(lines) > _CODE_LINES else [])]


def _playbook(console: Console, seen: View) -> Table:
    wide = console.width > _FULL_TABLE
    columns = (">#", "<step", ">alone", ">added", "<effort", "<risk")
    table = _grid(*(columns if wide else columns[:-1]))
    for step in seen.steps:
        cells = (step.rank, step.id, step.alone, step.added, step.effort)
        table.add_row(*cells, *([step.risk.removeprefix("risk: ")] if wide else []))
    return table


def _print_orders(console: Console, seen: View) -> None:
    if not seen.orders:
        return
    _heading(console, "Order: what is left to pay per 1M tokens after each step")
    steps = max((len(order.steps) for order in seen.orders), default=0)
    table = _grid("<order", *(f">{n}" for n in range(1, steps + 1)))
    for order in seen.orders:
        costs = [cost.removesuffix(" device-s") for _, cost in order.steps]
        table.add_row(order.name, *costs, style="bold" if order.best else "")
    console.print(table)
    for order in seen.orders:
        if order.breaks:
            console.print(f"  {order.name} breaks the SLO: {order.breaks}")
    if seen.front:
        _heading(console, "Cost against latency: what no other set of steps beats in all three")
        _print_grid(console, seen.front)


def _print_grid(console: Console, grid: Grid) -> None:
    figures_only = all(row[-1][:1].isdigit() for row in grid.rows)
    table = _grid(
        *(f">{column}" for column in grid.columns[:-1]),
        (">" if figures_only else "<") + grid.columns[-1],
    )
    for row in grid.rows:
        table.add_row(*row)
    console.print(table)


def _print_verified(console: Console, seen: View) -> None:
    if not seen.verified_line:
        return
    _heading(console, "Predictions that were tried")
    console.print(f"{seen.verified_line}.")
    table = _grid("<step", "<change of", "<predicted", "<measured", "<verdict")
    for row in seen.verified:
        steps = row.steps if row.first else ""
        table.add_row(steps, row.metric, row.predicted, row.measured, row.verdict)
    console.print(table)
    for why in dict.fromkeys(row.why for row in seen.verified if row.why):
        console.print(f"  cannot tell: {why}", style="dim")


def _print_phases(console: Console, seen: View) -> None:
    if seen.capture:
        _heading(console, "Device time by range")
        _print_facts(console, seen.capture.facts)
        _print_grid(console, seen.capture.ranges)
    _heading(console, "Phases")
    table = _grid("!", ">tokens/s", ">MFU", ">MBU", "!bound by", "!", ">p50", ">p95", ">p99")
    for p in seen.phases:
        cells = (p.tokens_per_s, p.mfu, p.mbu, p.bound, p.latency_name, p.p50, p.p95, p.p99)
        table.add_row(p.name, *cells)
    console.print(table)
    _print_facts(console, seen.counters)


def _print_facts(console: Console, facts: list[Fact]) -> None:
    for fact in facts:
        note = f" ({fact.note})" if fact.note else ""
        console.print(f"{fact.label}: {fact.text}{note}")


def _print_claims(console: Console, seen: View) -> None:
    if not seen.claims:
        return
    _heading(console, "What is commonly said, and what is true here")
    for row in seen.claims:
        console.print(f"{row.claim}: {row.verdict}", style="bold")
        for line in (*row.here, *([row.why] if row.why else [])):
            console.print(f"  {line}", style="dim")


def _print_rest(console: Console, seen: View) -> None:
    for title, facts in (("KV cache", seen.kv), ("Workload", seen.workload)):
        if seen.capture:  # a capture knows of neither
            continue
        _heading(console, title)
        _print_facts(console, facts)
        if facts is seen.kv and seen.pressed and seen.ramp:
            _print_grid(console, seen.ramp)
    if seen.server:
        _heading(console, "Server")
        _print_facts(console, seen.server)
    if seen.ladder:
        _print_grid(console, seen.ladder)
    _print_claims(console, seen)
    error = seen.steptime[0]
    _heading(console, "How far to trust this")
    note = f"; {error.note}" if error.note else ""
    console.print(f"Step-time model: {error.label.lower()} {error.text}{note}")
    for note in seen.notes:
        console.print(note)
    if seen.unknown:
        _heading(console, "Unknown")
        for fact in seen.unknown:
            console.print(f"{fact.label}: {fact.text}")

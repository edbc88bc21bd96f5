"""The price book as a plain table."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.facts.price_book import Listed


def list_text(rows: Sequence[Listed], *, width: int = 100) -> str:
    """One line per price, then every source with its date once."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return "no price is listed for that\n"
    out = io.StringIO()
    console = Console(file=out, width=max(width, 60), highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for name in ("name", "offer", "price", "as of", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.offer, _figures(row.figures), row.as_of, ", ".join(row.flags))
    console.print(table)
    for source in dict.fromkeys(row.source for row in rows):
        console.print(f"source: {source}", soft_wrap=True)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _figures(figures: Mapping[str, float | str]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )

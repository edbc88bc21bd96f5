"""`costaudit report`: the audit of a recording, or a trend over several, in the form asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from costaudit.cli.options import Price, PriceBook, ReservedPrice  # noqa: TC001 - read by typer

Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN...",
        help="A recording, or an audit as html or json; several show how cost went.",
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format", help="console, html, md, json, csv, svg or png. [default: as -o is named]"
    ),
]
Table = Annotated[
    str | None, typer.Option("--table", help="The table of a csv, such as bill.slices.")
]
ChartName = Annotated[
    str | None, typer.Option("--chart", help="The chart of an svg or png, such as roofline.")
]


def report(
    runs: Runs,
    *,
    form: Form = None,
    table: Table = None,
    chart: ChartName = None,
    out: Annotated[Path | None, typer.Option("-o", help="Write to this file.")] = None,
    price: Price = None,
    reserved_price: ReservedPrice = None,
    prices: PriceBook = None,
) -> None:
    """Render the audit of a recording; needs no model and no GPU."""
    from costaudit.cli.output import check_place, terminal, write
    from costaudit.report.render import check_part, format_named, format_of, render

    wanted = format_named(form) if form else format_of(out)
    part = check_part(wanted, table=table, chart=chart)
    check_place(out)
    book = {"price": price, "reserved_price": reserved_price, "prices": prices}
    document = _document(runs, book)
    if out is None:
        typer.echo(render(document, wanted, part=part, **terminal()), nl=False, color=True)
    else:
        write(out, render(document, wanted, part=part))


def _document(runs: list[Path], book: dict[str, Any]) -> dict[str, Any]:
    from costaudit.cli.audit import audit_or_stored

    if len(runs) == 1:
        return audit_or_stored(runs[0], **book)
    from costaudit.contrast.trend import trend

    short = len({run.name for run in runs}) == len(runs)
    names = [run.name if short else str(run) for run in runs]
    audits = (audit_or_stored(run, **book) for run in runs)
    return trend(list(zip(names, audits, strict=True)))

"""`costaudit report`: the audit of a recording, or a trend over several, in the form asked for."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costaudit.cli.options import Price, PriceBook, ReservedPrice  # noqa: TC001 - read by typer

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from costaudit.report.render import Format

LONG_BYTES = 16_000_000  # of a file that is as long to read as another process to begin

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
    with _helper(runs, wanted) as other:
        document = _document(runs, book, wanted, other)
        look = terminal() if out is None else {}
        text = render(document, wanted, part=part, other=other, **look)
    if out is None:
        typer.echo(text, nl=False, color=True)
    else:
        write(out, text)


def _helper(runs: list[Path], wanted: Format) -> AbstractContextManager[Executor | None]:
    """Another process, where there is much to read or something to draw."""
    from costaudit.ground.beside import beside
    from costaudit.report.render import DRAWN

    worth = wanted in DRAWN or any(map(_is_long, runs))
    return beside() if worth and all(run.is_file() for run in runs) else nullcontext()


def _document(
    runs: list[Path], book: dict[str, Any], wanted: Format, other: Executor | None
) -> dict[str, Any]:
    from costaudit.cli.audit import audit_or_stored
    from costaudit.ground.beside import Begun
    from costaudit.report.figure import wake_engine
    from costaudit.report.render import DRAWN

    ahead = None
    if other is not None and len(runs) == 1 and _is_long(runs[0]):
        from costaudit.audit.ahead import Ahead

        ahead = Ahead(runs[0], other)
    if other is not None and wanted in DRAWN:
        Begun(other, wake_engine)  # nobody waits for it
    if len(runs) == 1:
        return audit_or_stored(runs[0], **book, ahead=ahead)
    from costaudit.contrast.trend import trend

    short = len({run.name for run in runs}) == len(runs)
    names = [run.name if short else str(run) for run in runs]
    audits = (audit_or_stored(run, **book) for run in runs)
    return trend(list(zip(names, audits, strict=True)))


def _is_long(run: Path) -> bool:
    return run.is_file() and run.stat().st_size >= LONG_BYTES

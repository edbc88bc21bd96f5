"""`costaudit report`: the audit of a recording, in the form asked for."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read by typer
from typing import Annotated

import typer

from costaudit.cli.options import Price, PriceBook, ReservedPrice  # noqa: TC001 - read by typer


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A recording, such as demo.costaudit.")
    ],
    *,
    form: Annotated[str, typer.Option("--format", help="console, html, md or json.")] = "console",
    out: Annotated[Path | None, typer.Option("-o", help="Write to this file.")] = None,
    price: Price = None,
    reserved_price: ReservedPrice = None,
    prices: PriceBook = None,
) -> None:
    """Render the audit of a recording; needs no model and no GPU."""
    from costaudit.cli.audit import audit
    from costaudit.cli.output import check_place, terminal, write
    from costaudit.report.render import format_named, render

    wanted = format_named(form)
    check_place(out)
    document = audit(run, price=price, reserved_price=reserved_price, prices=prices)
    if out is None:
        typer.echo(render(document, wanted, **terminal()), nl=False, color=True)
    else:
        write(out, render(document, wanted))

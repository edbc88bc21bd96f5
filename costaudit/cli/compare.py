"""`costaudit compare`: two recordings, with intervals."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read by typer
from typing import Annotated

import typer

from costaudit.cli.options import Json, Price  # noqa: TC001 - read by typer


def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="A recording, or a baseline file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The one to compare with it.")],
    price: Price = None,
    as_json: Json = False,
) -> None:
    """Say what differs between two recordings, and how sure that is."""
    from costaudit.cli.output import print_json
    from costaudit.compare import comparison
    from costaudit.compare.words import comparison_text
    from costaudit.contrast.read import observations

    base, new = observations([before], price=price), observations([after], price=price)
    found = comparison.compare(base, new)
    if as_json:
        print_json(comparison.as_json(found))
    else:
        typer.echo(comparison_text(found), nl=False)

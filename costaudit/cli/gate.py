"""`costaudit gate`: may this build be shipped at this cost?"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read by typer
from typing import Annotated

import typer

from costaudit.cli.options import Json, Price, ReservedPrice  # noqa: TC001 - read by typer


def gate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A recording, such as demo.costaudit.")
    ],
    budget: Annotated[Path, typer.Option("--budget", help="The budget, a TOML file.")],
    price: Price = None,
    reserved_price: ReservedPrice = None,
    as_json: Json = False,
) -> None:
    """Hold a recording against a budget: passed, broken, inconclusive."""
    from costaudit.cli.audit import audit
    from costaudit.cli.output import print_json
    from costaudit.gate import verdict
    from costaudit.gate.budget import read_budget
    from costaudit.gate.words import gate_text

    limits = read_budget(budget)
    verdicts = verdict.judge(audit(run, price=price, reserved_price=reserved_price), limits)
    if as_json:
        print_json(verdict.as_json(verdicts))
    else:
        typer.echo(gate_text(verdicts), nl=False)
    raise typer.Exit(verdict.exit_code(verdict.overall(verdicts)))

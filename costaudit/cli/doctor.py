"""`costaudit doctor`: what can be measured on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from costaudit.cli.options import Json  # noqa: TC001 - read by typer

Compile = Annotated[
    bool,
    typer.Option("--compile", help="Compile the simulator now, once: plans are then found sooner."),
]


def doctor(compile_now: Compile = False, as_json: Json = False) -> None:
    """Say what can be measured here, what not, and what would help."""
    from costaudit.cli.output import print_json
    from costaudit.record.doctor import examine
    from costaudit.report.catalogue import check_facts, doctor_text
    from costaudit.whatif.machine_code import check_simulator, compile_simulator

    if compile_now:
        compile_simulator(lambda note: typer.echo(note, err=True))
    checks = (*examine(), check_simulator())
    if as_json:
        print_json([check_facts(check) for check in checks])
    else:
        typer.echo(doctor_text(checks), nl=False)

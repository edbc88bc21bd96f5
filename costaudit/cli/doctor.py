"""`costaudit doctor`: what can be measured on this machine."""

from __future__ import annotations

import typer

from costaudit.cli.options import Json  # noqa: TC001 - read by typer


def doctor(as_json: Json = False) -> None:
    """Say what can be measured here, what not, and what would help."""
    from costaudit.cli.output import print_json
    from costaudit.record.doctor import examine
    from costaudit.report.catalogue import check_facts, doctor_text

    checks = examine()
    if as_json:
        print_json([check_facts(check) for check in checks])
    else:
        typer.echo(doctor_text(checks), nl=False)

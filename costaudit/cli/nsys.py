"""What `costaudit profile --nsys` does: the same command under nsys, then its capture's import."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from costaudit.cli.server import is_server
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

FLAG = "--nsys"


def profile_under_nsys(target: str, path: Path) -> None:
    """Run this very command line without the flag; leaves with its exit code.

    Raises:
        UsageError: the target is a server, or there is no nsys.
        TargetError: nsys captured nothing.
    """
    if is_server(target) or not target:
        raise UsageError(
            f"{FLAG} captures a new run of a model in this process",
            hint="start a server itself under nsys, and read the export with costaudit import",
        )
    from costaudit.cli.recording import discard
    from costaudit.record.captures.importing import import_capture
    from costaudit.record.captures.nsys import under_nsys
    from costaudit.record.captures.phase_names import PhaseNames

    arguments = [word for word in sys.argv[1:] if word != FLAG]
    code, export = under_nsys(arguments, path)
    if code:
        raise typer.Exit(code)
    capture = path.with_suffix(".nsys.costaudit")
    discard(capture)
    import_capture(export, capture, PhaseNames())
    typer.echo(f"capture: {capture}   export: {export}", err=True)

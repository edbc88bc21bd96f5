"""Where results go: a file that is whole or not there, or the terminal as it is."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import typer

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WIDEST = 100  # longer lines read badly
_NARROWEST = 60  # figures need room


def print_json(value: Any) -> None:
    """A result for a machine, on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def print_audit(document: Mapping[str, Any], *, as_json: bool) -> None:
    """An audit on stdout, for a machine or for the terminal that is there."""
    from costaudit.report.render import Format, render

    if as_json:
        typer.echo(render(document, Format.JSON), nl=False)
    else:
        typer.echo(render(document, Format.CONSOLE, **terminal()), nl=False, color=True)


def terminal() -> dict[str, Any]:
    """Width and colour of stdout; a pipe has 80 columns and no colour."""
    if not sys.stdout.isatty():
        return {"width": 80, "colour": False}
    columns = shutil.get_terminal_size().columns
    colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return {"width": min(max(columns, _NARROWEST), _WIDEST), "colour": colour}


def command_line(context: typer.Context) -> str:
    """The command line as it may be written down: without its secrets; "" where there is none."""
    from costaudit.ground.secrets import without_secrets

    arguments = context.find_root().obj
    return without_secrets(["costaudit", *arguments]) if arguments else ""


def check_place(path: Path | None) -> None:
    """Refuse a place that cannot be written, before any work is done for it.

    Raises:
        UsageError: the folder is missing or cannot be written, or the place is a folder.
    """
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a directory")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no directory {path.parent}")
    try:
        with tempfile.TemporaryFile(dir=path.parent):  # only trying tells; root may lack it too
            return
    except OSError as err:
        raise UsageError(f"cannot write {path}: {err.strerror}", hint="name another place") from err


def write(path: Path, text: str | bytes) -> None:
    """Write a file at once: readers see the old one or the new one, never half of it.

    Raises:
        UsageError: the place cannot be written.
    """
    check_place(path)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(text if isinstance(text, bytes) else text.encode())
        half.replace(path)
    except OSError as err:
        half.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {err.strerror}", hint="name another place") from err

"""How far a long command is, on stderr: a bar with the time left, or a line every ten seconds."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from costaudit.record.options import Listener, Progress

_LINE_EVERY_S = 10.0


@contextmanager
def shown_progress() -> Iterator[Listener]:
    """A listener for as long as the work lasts."""
    if not sys.stderr.isatty():
        yield _lines(time.monotonic)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    left_column = TextColumn("{task.fields[left]}")
    console = Console(stderr=True)
    # No refreshing thread: it would take time from what is being measured.
    with Bar(*columns, left_column, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("starting", total=1.0, left="")

        def listen(step: Progress) -> None:
            left = time_left(step.seconds_left)
            bar.update(task, completed=step.fraction, description=step.label, left=left)
            bar.refresh()

        yield listen


def time_left(seconds: float | None) -> str:
    """The time left in words; "" while nobody knows."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d} left"


def _lines(clock: Callable[[], float]) -> Listener:
    last = clock()

    def listen(step: Progress) -> None:
        nonlocal last
        if clock() - last >= _LINE_EVERY_S:
            last = clock()
            line = f"{step.fraction * 100:3.0f} %  {step.label}  {time_left(step.seconds_left)}"
            typer.echo(line.rstrip(), err=True)

    return listen

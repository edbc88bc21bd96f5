"""Where frames are shown: a screen in a terminal, lines where there is none."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from costaudit.watch.screen import screen, screen_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from costaudit.watch.frame import Frame

LINE_EVERY_S = 10.0


@contextmanager
def shown() -> Iterator[Callable[[Frame], None]]:
    """What shows a frame, on the standard output, for as long as the context lasts."""
    if not sys.stdout.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, markup=False, emoji=False)
    # The alternate screen: what was on the terminal comes back at the end.
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def show(frame: Frame) -> None:
            width, height = console.size
            live.update(screen_text(frame, width=width, height=height), refresh=True)

        yield show


def _lines() -> Callable[[Frame], None]:
    """A line each ten seconds, and each event as it comes."""
    said_s = told = float("-inf")

    def show(frame: Frame) -> None:
        nonlocal said_s, told
        new = [event for event in frame.events if event.at_s > told]
        told = max((event.at_s for event in new), default=told)
        for event in new:
            _print(event.at_s, event.text)
        if frame.at_s - said_s >= LINE_EVERY_S and frame.diagnosis is not None:
            said_s = frame.at_s
            lines = [text for text, _ in screen(frame, width=160)]
            _print(frame.at_s, f"{lines[1]}; {lines[3].partition(' ')[2].strip()}")

    return show


def _print(at_s: float, text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
    sys.stdout.write(f"{stamp} {text}\n")
    sys.stdout.flush()

"""A process of its own, on another core, beside the one that a person waits for."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor


@contextmanager
def beside() -> Iterator[Executor | None]:
    """One process that does what it is asked in order; None where the system allows no such thing.

    A thread would not do: what reads row by row, or draws, keeps the interpreter to itself. To be
    begun while this process has no threads.
    """
    from concurrent.futures import ProcessPoolExecutor

    try:
        other = ProcessPoolExecutor(1, initializer=_die_silently)
    except (ImportError, NotImplementedError, OSError):  # no semaphores, as in some sandboxes
        yield None
        return
    with other:
        try:
            yield other
        except BaseException:
            other.shutdown(wait=False, cancel_futures=True)
            raise


def _die_silently() -> None:
    """By Ctrl-C, which reaches this process too and is told by the other one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

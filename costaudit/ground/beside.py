"""A process of its own, on another core, beside the one that a person waits for."""

from __future__ import annotations

import signal
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

T = TypeVar("T")


class Begun(Generic[T]):
    """Work that another process has begun; where there is none, or it dies, this one does it.

    Function, arguments and answer go from process to process, so they can be pickled.
    """

    def __init__(self, other: Executor | None, work: Callable[..., T], *arguments: object) -> None:
        self._work, self._arguments = work, arguments
        self._there: Future[T] | None = None
        with suppress(BrokenExecutor):  # it died before
            self._there = other.submit(work, *arguments) if other is not None else None

    def is_running(self) -> bool:
        """Whether the other process is still at it."""
        return self._there is not None and not self._there.done()

    def result(self) -> T:
        """The answer, waited for; raises what the work raises."""
        if self._there is not None:
            with suppress(BrokenExecutor):
                return self._there.result()
        return self._work(*self._arguments)


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
    try:
        yield other
    finally:
        other.shutdown(cancel_futures=True)


def _die_silently() -> None:
    """By Ctrl-C, which reaches this process too and is told by the other one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

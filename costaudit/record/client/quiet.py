"""An instrument is not to be disturbed while it measures."""

from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWITCH_S = 0.0001  # another thread of this process gives way after so long, not after 5 ms


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep this thread from being held up; all is put back afterwards.

    No garbage collection: a pause would be the client's own lag, and the room makes no cycles.
    The lowest real-time priority where the system permits it and a second core is left for
    others: bytes that wait for their reader merge, and merged bytes have one stamp. The work is
    short and waits for the network most of the time.
    """
    was_on, switch_s = gc.isenabled(), sys.getswitchinterval()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)
    hurried = _hurry()
    try:
        yield
    finally:
        for thread in hurried:
            with suppress(OSError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        sys.setswitchinterval(switch_s)
        gc.unfreeze()
        if was_on:
            gc.enable()


def _hurry() -> list[int]:
    """The threads that were given the priority.

    All of Python's own, for they share one lock: a scraper that holds it and waits for a core would
    hold this thread up with it. Threads started meanwhile do not inherit it.
    """
    if len(os.sched_getaffinity(0)) < 2:  # noqa: PLR2004
        return []
    least = os.sched_param(os.sched_get_priority_min(os.SCHED_RR))
    hurried = []
    for thread in filter(None, (one.native_id for one in threading.enumerate())):
        with suppress(OSError):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:
                os.sched_setscheduler(thread, os.SCHED_RR | os.SCHED_RESET_ON_FORK, least)
                hurried.append(thread)
    return hurried

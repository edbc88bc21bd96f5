"""An instrument is not to be disturbed while it measures."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWITCH_S = 0.0005  # another thread of this process gives way after so long, not after 5 ms


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
    policy = _hurry()
    try:
        yield
    finally:
        if policy is not None:
            with suppress(OSError):
                os.sched_setscheduler(0, policy, os.sched_param(0))
        sys.setswitchinterval(switch_s)
        gc.unfreeze()
        if was_on:
            gc.enable()


def _hurry() -> int | None:
    """The policy to go back to; None where nothing was changed."""
    policy = os.sched_getscheduler(0)
    if policy != os.SCHED_OTHER or len(os.sched_getaffinity(0)) < 2:  # noqa: PLR2004
        return None
    least = os.sched_get_priority_min(os.SCHED_RR)
    try:  # threads started meanwhile, a scraper for one, do not inherit it
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(least))
    except OSError:
        return None
    return policy

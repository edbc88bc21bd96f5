"""How fast this machine runs just now: the same small work, timed beside each batch of a replay.

A thread's own time leaves out what others take of it, but not how much slower they make it: what
runs on the same core's other thread, in the same caches or on the same host shows in nobody's
count. On two virtual cores this work took 7.8 ms or 14.6 ms, and batches beside it followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.record.engines.engine import LocalEngine

_COUNTS = 40_000  # of the interpreter: some 4 ms
_PRODUCTS, _ROWS, _WIDTH = 300, 4, 192  # of small matrices, as a decode step of a small model


def pace_s(engine: LocalEngine) -> float | None:
    """Seconds that the work takes on a CPU; None on a GPU, whose clocks say how fast it runs."""
    if engine.device_kind != "cpu":
        return None
    import torch

    rows, weights = torch.ones(_ROWS, _WIDTH), torch.eye(_WIDTH)

    def work() -> None:
        count = 0
        for number in range(_COUNTS):
            count += number & 3
        state = rows
        for _ in range(_PRODUCTS):
            state = torch.mm(state, weights)

    return engine.timed(work).seconds

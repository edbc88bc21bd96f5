"""When requests are meant to arrive, whatever the server does: Poisson, constant, or as logged."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

POISSON, CONSTANT, TRACE = "poisson", "constant", "trace"
KINDS = (POISSON, CONSTANT)


def starts_s(kind: str, *, requests_per_s: float, seed: int) -> Iterator[float]:
    """Endless starts since the rung began: exponential gaps of that mean, or equal ones."""
    if kind == CONSTANT:
        yield from (number / requests_per_s for number in count())
        return
    at_s, rng = 0.0, random.Random(seed)
    while True:
        at_s += rng.expovariate(requests_per_s)
        yield at_s


def check_arrivals(
    kind: str, *, requests_per_s: float | None, trace: str | None, time_scale: float
) -> None:
    """Refuse what cannot be meant.

    Raises:
        UsageError: an unknown kind, no positive rate or scale, or both a rate and a trace.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no way to arrive", hint=f"one of {', '.join(KINDS)}")
    if requests_per_s is not None and not 0 < requests_per_s < float("inf"):
        raise UsageError(f"{requests_per_s:g} requests per second are none")
    if requests_per_s is not None and trace is not None:
        raise UsageError("a trace has arrivals of its own", hint="--time-scale makes it faster")
    if not 0 < time_scale < float("inf"):
        raise UsageError(f"a time scale of {time_scale:g} stops the clock")

"""A stretch of traffic that stands for all of it where many scenarios are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.traffic.traffic import Request, Traffic

SAMPLE_REQUESTS = 2_000  # as many windows as WINDOWS together
WINDOWS = 4  # spread evenly by requests, so that busy hours weigh as they do in the bill
CYCLES = 8  # requests per stream of a closed load, at least: its start and end are no steady state


def sampled(traffic: Traffic) -> Traffic:
    """Some windows of the requests, one after the other; the traffic itself where it is short.

    Inside a window requests arrive as they did; idle between windows is left out with them.
    """
    requests = traffic.requests
    wanted = max(SAMPLE_REQUESTS, CYCLES * (traffic.concurrency or 0))
    if len(requests) <= 2 * wanted:
        return traffic
    size, taken, start_s = wanted // WINDOWS, [], 0.0
    for window in range(WINDOWS):
        first = window * (len(requests) - size) // (WINDOWS - 1)
        taken += _moved(requests[first : first + size], start_s)
        start_s += _span_s(traffic, first, first + size)
    whole_s = None if traffic.window_s is None else start_s
    return replace(traffic, requests=tuple(taken), window_s=whole_s)


def _moved(requests: Sequence[Request], start_s: float) -> list[Request]:
    shift_s = start_s - requests[0].arrival_s
    return [replace(request, arrival_s=request.arrival_s + shift_s) for request in requests]


def _span_s(traffic: Traffic, first: int, end: int) -> float:
    """From a window's first request to the one that follows it, or to the end of all."""
    requests = traffic.requests
    if end < len(requests):
        last_s = requests[end].arrival_s
    else:
        last_s = max(requests[-1].arrival_s, traffic.window_s or 0.0)
    return last_s - requests[first].arrival_s

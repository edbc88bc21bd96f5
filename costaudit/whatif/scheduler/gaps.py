"""Gaps between tokens: how many of which size, and the longest that each request saw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from costaudit.whatif.scheduler.state import State

LEAST_S = 1e-6  # gaps are counted by size, in bins of equal ratio from here on
RATIO = 1.01
BINS = 2400  # up to about 2e4 s


def bin_of(seconds: float) -> int:
    """The bin of a gap."""
    if seconds <= LEAST_S:
        return 0
    return min(int(math.log(seconds / LEAST_S) / math.log(RATIO)), BINS - 1)


def count_gaps(
    gaps: MutableSequence[int], first_s: float, last_s: float, steps: int, rows: int
) -> None:
    """`rows` gaps in each of `steps` steps whose length goes evenly from first to last."""
    low, high = min(first_s, last_s), max(first_s, last_s)
    at, end = bin_of(low), bin_of(high)
    counted = 0
    while at < end:
        edge = LEAST_S * RATIO ** (at + 1)
        upto = int(steps * (edge - low) / (high - low))
        upto = min(max(upto, counted), steps)
        gaps[at] += (upto - counted) * rows
        counted = upto
        at += 1
    gaps[end] += (steps - counted) * rows


def note_event(s: State, longest_s: float) -> None:
    """One more event of which every row sees the seconds.

    The stack holds falling values: entry k is the longest since `peak_event[k]`. Stretches in
    which nobody joined are merged when it is full.
    """
    m = s.machine
    m.events += 1
    event = m.events
    while m.peaks > 0 and s.rows[m.peaks - 1].peak_s <= longest_s:
        m.peaks -= 1
        event = s.rows[m.peaks].peak_event
    if m.peaks == len(s.rows):
        _merge(s)
    s.rows[m.peaks].peak_event = event
    s.rows[m.peaks].peak_s = longest_s
    m.peaks += 1


def longest_since(s: State, event: int) -> float:
    """The longest step since an event; 0 where there was none."""
    m = s.machine
    if event > m.events:
        return 0.0
    low, high = 0, m.peaks
    while high - low > 1:
        middle = (low + high) // 2
        if s.rows[middle].peak_event <= event:
            low = middle
        else:
            high = middle
    return s.rows[low].peak_s


def _merge(s: State) -> None:
    """Keep the stretches in which a row joined: rows, oldest first, joined in order of events."""
    m = s.machine
    kept, job = 0, m.oldest
    for k in range(m.peaks):
        end = s.rows[k + 1].peak_event if k + 1 < m.peaks else m.events + 1
        while job >= 0 and s.jobs[job].event < s.rows[k].peak_event:
            job = s.jobs[job].newer
        if job >= 0 and s.jobs[job].event < end:
            s.rows[kept].peak_event, s.rows[kept].peak_s = s.rows[k].peak_event, s.rows[k].peak_s
            kept += 1
    m.peaks = kept

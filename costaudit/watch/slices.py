"""Where the device's seconds of a window go, as far as a server's own metrics tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.recompute import recomputed_s
from costaudit.measure.phase_seconds import phase_seconds
from costaudit.measure.window import RUNNING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

SLICES = ("prefill", "either", "decode", "preemption", "idle")


def slices_of(w: Window) -> dict[str, float]:
    """Shares of the window by slice, summing to 1; empty where the server does not tell.

    `prefill` and `decode` are what they surely took, `either` what is one of them (the bounds of
    `phase_seconds`). `preemption` is what preempted requests made the server compute again, at the
    pace of the point between the bounds; it is taken out of prefill, then of either.
    """
    phases = phase_seconds(w)
    if w.seconds <= 0 or w.levels(RUNNING) is None:
        return {}
    if phases is None:
        return {"idle": 1.0} if signs.worked(w) is False else {}
    bounds = phases.prefill_bounds_s
    again_s = min(bounds.high, recomputed_s(w, phases.prefill_s))
    seconds = {
        "prefill": max(0.0, bounds.low - again_s),
        "either": bounds.high - bounds.low - max(0.0, again_s - bounds.low),
        "decode": phases.busy_s - bounds.high,
        "preemption": again_s,
    }
    shares = {name: value / w.seconds for name, value in seconds.items()}
    return {**shares, "idle": max(0.0, 1 - sum(shares.values()))}

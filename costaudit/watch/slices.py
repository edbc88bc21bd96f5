"""Where the device's seconds of a window go, as far as a server's own metrics tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.recompute import recomputed_s
from costaudit.measure.phase_seconds import phase_seconds
from costaudit.measure.window import RUNNING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

SLICES = ("prefill", "decode", "preemption", "idle")


def slices_of(w: Window) -> dict[str, float]:
    """Shares of the window by slice, summing to 1; empty where the server does not tell.

    `prefill` is the point between its bounds (see `phase_seconds`); `preemption` is what preempted
    requests made the server compute again, taken out of prefill.
    """
    phases = phase_seconds(w)
    if w.seconds <= 0 or w.levels(RUNNING) is None:
        return {}
    if phases is None:
        return {"idle": 1.0} if signs.worked(w) is False else {}
    again_s = min(phases.prefill_s, recomputed_s(w, phases.prefill_s))
    seconds = {
        "prefill": phases.prefill_s - again_s,
        "decode": phases.busy_s - phases.prefill_s,
        "preemption": again_s,
    }
    shares = {name: value / w.seconds for name, value in seconds.items()}
    return {**shares, "idle": max(0.0, 1 - sum(shares.values()))}

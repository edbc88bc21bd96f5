"""The server was restarted while it was looked at.

Why       A crash loop, an out-of-memory kill or a probe that fails costs minutes of loading weights
          each time, and every request in flight.
Signature A total fell, or the process has another start time.
Not       Several replicas behind one address, whose pages alternate: look at each by itself.
Sources   Prometheus' own rule for counters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis.symptom import Answer, Confidence, DoesNotShow, Evidence, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """Falls of a total."""
    if not w.restarts:
        return DoesNotShow(why="no total fell")
    evidence = Evidence(what="restarts", value=w.restarts, unit="count", where="totals that fell")
    return Shows(evidence=(evidence,), cost_share=1.0, confidence=Confidence.SURE)


SYMPTOM = Symptom(
    id="restarts",
    title="The server was restarted in the window",
    cause="its totals fell: it was restarted, or several replicas answer at this address in turn",
    judge=judge,
    advice="read its log from before the restart (out of memory, a failed health probe); if it is "
    "several replicas, look at each by itself",
    urgent=True,
)

"""Requests are turned away.

Why       A limit on queued or concurrent requests is reached (TGI: 128 by default), or the server
          fails them.
Signature The server counts rejections, overloads or failures, for one request in a hundred or more.
Not       Clients that cancel.
Sources   huggingface/text-generation-inference#3241, #1221, #1977; vLLM 0.32 admission_rejections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

SHARE = 0.01
_COUNTED = (
    "requests.rejected_total",
    "requests.failed_total.overloaded",
    "requests.failed_total",
    "requests.completed_total.error",
)


def judge(w: Window) -> Answer:
    """Rejected over all requests."""
    told = {name: w.grown(name) for name in _COUNTED}
    known = {name: grown for name, grown in told.items() if grown is not None}
    if not known:
        return CannotTell(because="the server does not count rejected or failed requests")
    name, lost = max(known.items(), key=lambda one: one[1])
    done = signs.finished(w) or 0.0
    if lost <= 0 or lost / (lost + done) < SHARE:
        return DoesNotShow(why="hardly any request was turned away")
    evidence = [signs.seen(w, name, "requests turned away or failed", lost, "count")]
    evidence.append(signs.seen(w, name, "of all requests", lost / (lost + done), "share"))
    return Shows(
        evidence=tuple(evidence), cost_share=lost / (lost + done), confidence=Confidence.SURE
    )


SYMPTOM = Symptom(
    id="rejections",
    title="Requests are turned away or fail",
    cause="the server is over its own limit of requests, or fails them",
    judge=judge,
    actions=("more-concurrent-requests",),
    advice="raise the limit if there is room, else add replicas; read the log for failures",
    steps=("replicas-instead", "priority-admission"),
    urgent=True,
)

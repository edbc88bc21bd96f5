"""More load than the server can take.

Why       Arrivals exceed what the device computes; neither memory, nor the cap, nor the budget is
          what the queue waits for.
Signature Requests wait in a good part of the readings, and none of the particular causes of a queue
          shows.
Not       A queue whose cause is known (kv-full, kv-preemption, batch-cap, token-budget, held-back),
          or whose load may be needless (prefix-caching-off, prompts that are not cut).
Sources   Little's law; the particular causes' own pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import needless, queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.stalls import long_step_share
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

UNCUT = 0.1  # of the steps hold a long prompt whole, and let in no other beside it
LOST = 0.2  # of the requests in the server wait; below it the queue is that of uneven arrivals


def judge(w: Window) -> Answer:
    """A queue without a cause of its own."""
    found = queueing.queue(w)
    if found is None:
        return CannotTell(because="the server does not export how many requests wait")
    if found.why is not Why.LOAD or found.lost < LOST:
        return DoesNotShow(why="requests hardly waited, or for a cause that has a name")
    if w.levels(RUNNING) is None:
        return CannotTell(because="requests wait, but the batch is not told: it may be capped")
    if w.knob("chunked_prefill") is False and long_step_share(w) >= UNCUT:
        return CannotTell(because="prompts are not cut: part of the queue waits behind long ones")
    if needless.spare_first(w):
        return CannotTell(because="prefix caching is off: part of the load may be needless")
    evidence = (
        signs.seen(w, WAITING, "mean queue", found.length),
        signs.seen(w, RUNNING, "mean batch", found.batch),
    )
    return Shows(evidence=evidence, cost_share=found.lost)


SYMPTOM = Symptom(
    id="overload",
    title="Requests wait: more load than the server takes",
    cause="requests arrive faster than this server computes them",
    judge=judge,
    advice="add replicas, shed load early (a limit on queued requests), or make each request "
    "cheaper (quantization, a smaller model, shorter prompts)",
    steps=("replicas-instead", "autoscaling", "priority-admission"),
)

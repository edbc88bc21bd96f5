"""Requests wait longer in Triton's queue than they are computed.

Why       A delay that is too long for the load, one instance, bursts, or saturation.
Signature Queue time is above compute time, and above a fifth of the whole.
Not       Batches that form under load and are worth their wait (queue below compute).
Sources   triton-inference-server/server#8251 (2 ms of work, 8 ms of queue), #3416, #4667, #8870.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

ALONE, PENDING = 1.2, 0.5  # as in triton-no-batching
SHORT_S = 0.001  # a queue of less than that a request is nothing


def judge(w: Window) -> Answer:
    """Queue seconds over compute seconds."""
    waited, worked, done = (
        w.grown("latency.queue_sum"),
        w.grown("latency.inference_sum"),
        signs.finished(w),
    )
    if waited is None or worked is None or not done:
        return CannotTell(because="no request ended, or times are not told")
    if waited <= worked or waited / done < SHORT_S:
        return DoesNotShow(why="requests wait for less time than they are computed")
    items, runs = w.grown("batch.items_total"), w.grown("batch.exec_count")
    pending = w.levels(WAITING)
    if items and runs and items / runs <= ALONE and pending and pending.mean >= PENDING:
        return DoesNotShow(why="they wait because they are executed one by one")
    evidence = (
        signs.seen(w, "latency.queue_sum", "mean time in queue", waited / done, "s"),
        signs.seen(w, "latency.inference_sum", "mean time of work", worked / done, "s"),
    )
    return Shows(evidence=evidence, cost_share=waited / (waited + worked))


SYMPTOM = Symptom(
    id="triton-queue",
    title="Requests wait longer than they are computed",
    cause="batches wait too long to fill, or one instance is not enough",
    judge=judge,
    actions=("shorter-batch-delay", "more-instances"),
    advice="at low load the queue is the delay that was set; if it grows without end, add replicas",
    steps=("dynamic-batching", "replicas-instead"),
    engines=("triton",),
)

"""The server could do more than its clients ask for.

Why       A decode step reads all weights whatever the batch; with one to three sequences the device
          is busy and does little. "GPU utilization 100 %" says only that a kernel was there.
Signature Requests came, hardly any waited, none was preempted, and the batch held three or fewer
          while it was not empty (weights dominate a step's bytes up to 4 sequences and more).
Not       A server whose cap keeps the batch small (see batch-cap); an idle one; one whose known cap
          is that small.
Sources   vllm-project/vllm#9651, #9953, #1375.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

SMALL_BATCH = 3.0
KV_USED = 0.5  # with so few requests it is memory that is scarce: they are long


def judge(w: Window) -> Answer:
    """A small batch and no queue."""
    if not signs.worked(w):
        return DoesNotShow(why="there was no request to be served")
    batch, queue, usage = signs.batch_mean(w), queueing.queue(w), signs.kv(w)
    if batch is None or queue is None:
        return CannotTell(because="the server does not export how many requests run and wait")
    if queue.why is not Why.NONE or signs.preemptions(w):
        return DoesNotShow(why="requests waited: the server, not its clients, is the limit")
    room = signs.slots(w).value
    if batch > SMALL_BATCH or (isinstance(room, (int, float)) and batch > room / 2):
        return DoesNotShow(why="the batch was not small")
    if usage is not None and usage.mean > KV_USED:
        return DoesNotShow(why="so few requests fill the KV cache: no more would fit")
    evidence = [signs.seen(w, RUNNING, "mean batch while there was one", batch)]
    running, length = w.levels(RUNNING), signs.queued_mean(w)
    if running is not None and running.samples >= signs.FEW_SAMPLES:
        busy = running.above_zero_share
        evidence.append(signs.seen(w, RUNNING, "readings with any request", busy, "share"))
    if length is not None:
        evidence.append(signs.seen(w, WAITING, "mean queue", length))
    return Shows(evidence=tuple(evidence), cost_share=max(0.0, 1 - batch / (SMALL_BATCH + 1)))


SYMPTOM = Symptom(
    id="client-limited",
    title="The clients ask for less than the server can do",
    cause="so few requests are in flight that each step serves hardly anybody: the clients, not "
    "the server, are the limit",
    judge=judge,
    advice="send more requests at once (clients' concurrency, a batch API), put more traffic on "
    "fewer replicas, or take a smaller device",
    steps=("batch-size", "right-sizing", "autoscaling"),
)

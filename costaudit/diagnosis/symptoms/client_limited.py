"""The server could do more than its clients ask for.

Why       A decode step reads all weights whatever the batch; with one to three sequences the
          device is busy and does little. "GPU utilization 100 %" says only that a kernel was there.
Signature Hardly anything waits, nothing is preempted, and the batch holds three requests or fewer
          (weights dominate a step's bytes up to 4 and more).
Not       A server whose cap keeps the batch small (see batch-cap); an idle one.
Sources   vllm-project/vllm#9651, #9953, #1375.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Evidence, Shows, Symptom
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

SMALL_BATCH = 3.0
QUEUE = 0.1  # mean requests waiting


def judge(w: Window) -> Answer:
    """A small batch and no queue."""
    if not signs.worked(w):
        return DoesNotShow(why="there was no request to be served")
    batch, queue = signs.batch_mean(w), signs.queued_mean(w)
    if batch is None or queue is None:
        return CannotTell(because="the server does not export how many requests run and wait")
    if queue > QUEUE or signs.preemptions(w):
        return DoesNotShow(why="requests waited: the server, not its clients, is the limit")
    if batch > SMALL_BATCH:
        return DoesNotShow(why="the batch was not small")
    evidence = (
        Evidence(what="mean batch", value=batch, unit="", where=w.native(RUNNING)),
        Evidence(what="mean queue", value=queue, unit="", where=w.native(WAITING)),
    )
    return Shows(evidence=evidence, cost_share=max(0.0, 1 - batch / (SMALL_BATCH + 1)))


SYMPTOM = Symptom(
    id="client-limited",
    title="The clients ask for less than the server can do",
    cause="so few requests are in flight that each step serves hardly anybody",
    judge=judge,
    advice="send more requests at once (clients' concurrency, a batch API), put more traffic on "
    "fewer replicas, or take a smaller device",
    steps=("batch-size", "right-sizing", "autoscaling"),
)

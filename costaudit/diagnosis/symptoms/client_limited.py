"""The server could do more than its clients ask for.

Why       A decode step reads all weights whatever the batch; with one to three sequences the device
          is busy and does little. "GPU utilization 100 %" says only that a kernel was there.
Signature Requests came, hardly any waited, none was preempted, and there were never more than two
          in the batch (by two pages alone: in the mean). Up to three in the mean while it was not
          empty it is possible only: so little traffic may be all there is. Weights dominate a
          step's bytes up to 4 sequences and more.
Not       A server that prompts keep busy: they fill its steps alone.
          A fault: nothing is wrong with the server. One whose cap keeps the batch small (see
          batch-cap); an idle one; one whose known cap is that small.
Sources   vllm-project/vllm#9651, #9953, #1375.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import needless, queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import (
    Answer,
    CannotTell,
    Confidence,
    DoesNotShow,
    Shows,
    Symptom,
)
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

SMALL_BATCH = 3.0  # of each rank, in the mean
PROMPTS = 0.5  # of the time
HARDLY_ANY = 2.0  # of each rank, at most
KV_USED = 0.5  # with so few requests it is memory that is scarce: they are long


def judge(w: Window) -> Answer:
    """A small batch and no queue."""
    if not signs.worked(w):
        return DoesNotShow(why="there was no request to be served")
    batch, queue, ranks = signs.batch_mean(w), queueing.queue(w), signs.ranks(w)
    if batch is None or queue is None:
        return CannotTell(because="the server does not export how many requests run and wait")
    if queue.why is not Why.NONE or signs.preemptions(w):
        return DoesNotShow(why="requests waited: the server, not its clients, is the limit")
    if why := _other_limit(w, batch):
        return DoesNotShow(why=why)
    evidence = [signs.seen(w, RUNNING, "mean batch while there was one", batch)]
    running, length, most = w.levels(RUNNING), signs.queued_mean(w), batch
    if running is not None and running.samples >= signs.FEW_SAMPLES:
        most = running.high
        evidence.append(signs.seen(w, RUNNING, "at most", most, "count"))
        busy = running.above_zero_share
        evidence.append(signs.seen(w, RUNNING, "readings with any request", busy, "share"))
    if length is not None:
        evidence.append(signs.seen(w, WAITING, "mean queue", length))
    few = most <= HARDLY_ANY * ranks
    return Shows(
        evidence=tuple(evidence),
        cost_share=max(0.0, 1 - batch / ranks / (SMALL_BATCH + 1)) if few else 0.0,
        confidence=Confidence.LIKELY if few else Confidence.POSSIBLE,
    )


def _other_limit(w: Window, batch: float) -> str:
    """What else than clients limits it, or that the batch is none of a few; "": nothing."""
    room, usage, found = signs.slots(w).value, signs.kv(w), needless.prefills(w)
    if batch > SMALL_BATCH * signs.ranks(w):
        return "the batch was not small"
    if isinstance(room, (int, float)) and batch > room / 2:
        return "the batch was not small for what it takes"
    if found is not None and max(found.time_share or 0, found.device_share or 0) >= PROMPTS:
        return "most of its time goes to prompts, of which one fills a step"
    if usage is not None and usage.mean > KV_USED:
        return "so few requests fill the KV cache: no more would fit"
    return ""


SYMPTOM = Symptom(
    id="client-limited",
    title="The clients ask for less than the server can do",
    cause="nothing is wrong with the server: so few requests are in flight that each step serves "
    "hardly anybody, so its clients, not it, are the limit",
    judge=judge,
    fault=False,
    advice="for more tokens per second, or fewer dollars: send more requests at once (clients' "
    "concurrency, a batch API), put more traffic on fewer replicas, or take a smaller device",
    steps=("batch-size", "right-sizing", "autoscaling"),
)

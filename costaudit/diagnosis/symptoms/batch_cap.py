"""Requests wait although the KV cache has room: the batch is capped.

Why       `max_num_seqs` (by default, or by a recipe for one user) ends the batch before memory
          does. Every request beyond it waits, and each decode step reads all weights for few.
Signature While requests waited the batch was mostly at its known cap, or as full as it ever was; KV
          usage stayed below 0.7 (above, there is little room to raise the cap into); nothing was
          preempted. Where gauges were read too seldom: requests waited for a fifth of their time
          while the batch's mean context fills less than 0.7 of the cache.
Not       A queue while KV is full (see kv-preemption), a moment's queue of a burst, a queue of
          requests that the server holds back on purpose.
Sources   vllm-project/vllm#13508, #14022, #6737.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """A queue at a full batch, with room in the cache."""
    found = queueing.queue(w)
    if found is None:
        return CannotTell(because="the server does not export how many requests wait")
    if found.why is not Why.CAP:
        return DoesNotShow(why="no request waited for a place in the batch")
    held = queueing.while_waiting(w, found.batch)
    evidence = [
        signs.seen(w, RUNNING, "requests in the batch while others waited", held),
        signs.seen(w, WAITING, "mean queue", found.length),
    ]
    if found.kv is not None:
        usage = signs.seen(w, "kv.usage_fraction", "KV usage while they waited", found.kv, "share")
        evidence.append(usage)
    share = signs.queue_share(w)
    if share is not None:
        evidence.append(signs.seen(w, "latency.queue", "requests' time in queue", share, "share"))
    return Shows(evidence=tuple(evidence), cost_share=found.lost)


SYMPTOM = Symptom(
    id="batch-cap",
    title="Requests wait although the KV cache has room",
    cause="the cap on sequences in the batch (max_num_seqs) is too small for this load",
    judge=judge,
    actions=("more-sequences",),
    steps=("max-num-seqs", "batch-size"),
)

"""Requests wait although the KV cache has room: the batch is capped.

Why       `max_num_seqs` (by default, or by a recipe for one user) ends the batch before memory
          does. Every request beyond it waits, and each decode step reads all weights for few.
Signature While requests waited, the batch stayed as full as it ever was, KV usage stayed below
          0.7, and nothing was preempted. KV usage above that leaves little room to raise the cap.
Not       A queue while KV is full (see kv-preemption); a moment's queue of a burst.
Sources   vllm-project/vllm#13508, #14022, #6737.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Evidence, Shows, Symptom
from costaudit.measure.window import RUNNING, WAITING, WHILE_WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

KV_ROOM = 0.7  # above it the cache, and not the cap, is the next limit
QUEUE_SHARE = 0.2  # of the readings; a burst empties sooner


def judge(w: Window) -> Answer:
    """A plateau of the batch under a queue, with room in the cache."""
    waiting, full = w.levels(WAITING), w.levels(RUNNING + WHILE_WAITING)
    if waiting is None:
        return CannotTell(because="the server does not export how many requests wait")
    if waiting.above_zero_share < QUEUE_SHARE or full is None:
        return DoesNotShow(why="requests hardly ever waited")
    if signs.preemptions(w):
        return DoesNotShow(why="requests were preempted: memory is the limit")
    usage = w.levels("kv.usage_fraction" + WHILE_WAITING)
    if usage is not None and usage.mean >= KV_ROOM:
        return DoesNotShow(why="the KV cache was nearly full while requests waited")
    if not signs.is_plateau(full):
        return DoesNotShow(why="the batch was not at a limit while requests waited")
    evidence = [
        Evidence(
            what="requests in the batch while others waited",
            value=full.mean,
            unit="",
            where=w.native(RUNNING),
        ),
        Evidence(what="mean queue", value=waiting.mean, unit="", where=w.native(WAITING)),
    ]
    if usage is not None:
        where = w.native("kv.usage_fraction")
        evidence.append(
            Evidence(what="KV usage while they waited", value=usage.mean, unit="share", where=where)
        )
    cost = waiting.mean / (waiting.mean + full.mean)
    return Shows(evidence=tuple(evidence), cost_share=cost)


SYMPTOM = Symptom(
    id="batch-cap",
    title="Requests wait although the KV cache has room",
    cause="the cap on sequences in the batch (max_num_seqs) is too small for this load",
    judge=judge,
    actions=("more-sequences",),
    steps=("max-num-seqs", "batch-size"),
)

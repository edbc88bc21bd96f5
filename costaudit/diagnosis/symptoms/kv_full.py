"""KV cache full: requests wait for memory, though none is pushed out.

Why       Admission reserves the cache for whole prompts, so a full cache shows as a queue.
Signature Requests wait (reason "capacity") while KV usage is at 0.9 or more, without preemption.
Not       A queue beside a cache with room (see batch-cap).
Sources   vllm-project/vllm#23444, #1607, PR #37307.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """A queue for memory alone."""
    found = queueing.queue(w)
    if found is None:
        return CannotTell(because="the server does not export how many requests wait")
    if found.why is not Why.MEMORY:
        return DoesNotShow(why="no request waited for memory")
    if signs.preemptions(w):
        return DoesNotShow(why="requests were preempted: see kv-preemption")
    evidence = [signs.seen(w, WAITING, "mean queue", found.length)]
    if found.kv is not None:
        usage = signs.seen(w, "kv.usage_fraction", "KV usage while they waited", found.kv, "share")
        evidence.append(usage)
    return Shows(evidence=tuple(evidence), cost_share=found.lost)


SYMPTOM = Symptom(
    id="kv-full",
    title="KV cache full: requests wait for memory",
    cause="the requests in the batch fill the KV cache, so the next ones wait",
    judge=judge,
    actions=("more-kv-memory", "smaller-kv", "shorter-context", "kv-offload"),
    advice="more devices or replicas, a smaller model or quantized weights leave more for it",
    steps=("kv-pool-size", "kv-cache-quantization", "kv-offload", "weight-quantization"),
)

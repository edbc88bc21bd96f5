"""TensorRT-LLM pauses requests and takes them up again.

Why       The policy MAX_UTILIZATION lets in more than the KV cache holds; requests are paused,
          their blocks given away, and computed again.
Signature Paused requests were seen.
Not       GUARANTEED_NO_EVICT, which never pauses.
Sources   NVIDIA/TensorRT-LLM#16827 (40 % of the throughput).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """Paused requests over running ones."""
    paused, running, usage = w.levels("requests.preempted_now"), w.levels(RUNNING), signs.kv(w)
    if paused is None:
        return CannotTell(because="the server does not export paused requests")
    if paused.high <= 0:
        return DoesNotShow(why="no request was paused")
    evidence = [signs.seen(w, "requests.preempted_now", "paused requests", paused.mean)]
    if usage is not None:
        evidence.append(signs.seen(w, "kv.usage_fraction", "highest KV usage", usage.high, "share"))
    beside = running.mean if running is not None else 0.0
    cost = paused.mean / (paused.mean + beside or 1.0)
    return Shows(evidence=tuple(evidence), cost_share=cost, confidence=Confidence.SURE)


SYMPTOM = Symptom(
    id="paused-requests",
    title="Requests are paused and computed again",
    cause="the scheduler lets in more requests than the KV cache holds",
    judge=judge,
    actions=("careful-admission", "more-kv-memory", "smaller-kv"),
    steps=("kv-pool-size", "kv-cache-quantization"),
    engines=("triton", "trtllm-serve", "dynamo"),
)

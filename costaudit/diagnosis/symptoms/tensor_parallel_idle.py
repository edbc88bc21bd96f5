"""Tensor parallelism over more devices than the load needs.

Why       Every layer ends with a sum over all ranks; over PCIe, or for a small model, that takes as
          long as the work it divides. Replicas have no such sum.
Signature Two ranks or more, KV usage below a fifth at its peak (so the model would fit on fewer),
          and no queue.
Not       Models that need the ranks' memory. Whether fewer ranks are faster is in no metric: try.
Sources   vllm-project/vllm#1873, #732, #367, #1435, #6131.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

ROOM = 0.2


def judge(w: Window) -> Answer:
    """Ranks, and a cache with room."""
    ranks, usage, found = w.knob("tensor_parallel"), signs.kv(w), queueing.queue(w)
    if not isinstance(ranks, (int, float)):
        return CannotTell(because="the server does not say over how many ranks it runs")
    if ranks < 2:  # noqa: PLR2004 - several
        return DoesNotShow(why="one rank only")
    if usage is None or found is None:
        return CannotTell(because="the server does not export KV usage and its queue")
    if not signs.worked(w) or usage.high > ROOM or found.why is not Why.NONE:
        return DoesNotShow(why="the ranks' memory is in use")
    evidence = (
        signs.seen(w, "config.parallel", "tensor-parallel ranks", float(ranks), "count"),
        signs.seen(w, "kv.usage_fraction", "highest KV usage", usage.high, "share"),
    )
    return Shows(evidence=evidence, cost_share=0.1, confidence=Confidence.POSSIBLE)


SYMPTOM = Symptom(
    id="tensor-parallel-idle",
    title="More tensor-parallel ranks than the load seems to need",
    cause="ranks wait for each other in every layer, while their memory is hardly used",
    judge=judge,
    actions=("fewer-ranks",),
    advice="try replicas on fewer ranks each, and compare tokens per second and device",
    steps=("tensor-parallelism", "replicas-instead"),
)

"""KV cache full: requests are pushed out of the batch and computed again.

Why       Concurrency times context needs more KV cache than there is. The engine frees blocks of a
          running request (vLLM preempts, SGLang retracts, TensorRT-LLM pauses), and its tokens are
          prefilled once more later; token counters do not show the work done twice.
Signature Preemptions grew. KV usage swings between 0.7 and 1 meanwhile, so its peak counts and not
          its mean; the queue is of reason "capacity".
Not       A single preemption in thousands of requests costs nothing that can be seen.
Sources   vllm-project/vllm#23444, #18115, #14412; captures of a vLLM 0.32 under pressure
          (96 preemptions over 64 requests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import (
    Answer,
    CannotTell,
    Confidence,
    DoesNotShow,
    Evidence,
    Shows,
    Symptom,
)

if TYPE_CHECKING:
    from costaudit.measure.window import Window

PER_REQUEST = 0.01  # preemptions per finished request; below, the work done twice is lost in noise


def judge(w: Window) -> Answer:
    """Preemptions per request."""
    pushed_out, done = signs.preemptions(w), signs.finished(w)
    if pushed_out is None:
        return CannotTell(because="the server does not count preemptions")
    if pushed_out == 0:
        return DoesNotShow(why="no request was preempted")
    if done and pushed_out / done < PER_REQUEST:
        return DoesNotShow(why="fewer than one preemption in 100 requests")
    name = w.native("preemptions_total")
    evidence = [Evidence(what="preemptions", value=pushed_out, unit="count", where=name)]
    if done:
        evidence.append(
            Evidence(what="per finished request", value=pushed_out / done, unit="", where=name)
        )
    if (usage := signs.kv(w)) is not None and usage.high > 0:
        where = w.native("kv.usage_fraction")
        evidence.append(
            Evidence(what="highest KV usage", value=usage.high, unit="share", where=where)
        )
    cost = pushed_out / (pushed_out + (done or 0.0))
    return Shows(evidence=tuple(evidence), cost_share=cost, confidence=Confidence.SURE)


SYMPTOM = Symptom(
    id="kv-preemption",
    title="KV cache full: requests are preempted and computed again",
    cause="the requests in the batch need more KV cache than there is, so some are pushed out and "
    "their tokens are computed again",
    judge=judge,
    actions=("more-kv-memory", "smaller-kv", "fewer-sequences"),
    steps=("kv-pool-size", "kv-cache-quantization", "max-num-seqs"),
)

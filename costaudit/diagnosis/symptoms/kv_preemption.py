"""KV cache full: requests are pushed out of the batch and computed again.

Why       Concurrency times context needs more KV cache than there is. The engine frees blocks of a
          running request, and its tokens are prefilled once more later; token counters do not show
          the work done twice.
Signature Preemptions grew. KV usage swings between 0.7 and 1 meanwhile, so its peak counts and not
          its mean; the queue is of reason "capacity".
Not       A single preemption in hundreds of requests costs nothing that can be seen. SGLang's and
          TensorRT-LLM's own forms are retraction-loop and paused-requests.
Sources   vllm-project/vllm#23444, #18115, #14412, PR #6102; captures of a vLLM 0.32 under pressure
          (96 preemptions over 64 requests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

PER_REQUEST = 0.01  # preemptions per finished request; below, the work done twice is lost in noise


def judge(w: Window) -> Answer:
    """Preemptions per request."""
    pushed_out, done = signs.preemptions(w), signs.finished(w)
    if pushed_out is None:
        return CannotTell(because="the server does not count preemptions")
    if pushed_out <= 0:
        return DoesNotShow(why="no request was preempted")
    if done and pushed_out / done < PER_REQUEST:
        return DoesNotShow(why="fewer than one preemption in 100 requests")
    name = "preemptions_total"
    evidence = [signs.seen(w, name, "preemptions", pushed_out, "count")]
    if done:
        evidence.append(signs.seen(w, name, "per finished request", pushed_out / done))
    usage = signs.kv(w)
    if usage is not None and usage.high > 0:
        evidence.append(signs.seen(w, "kv.usage_fraction", "highest KV usage", usage.high, "share"))
    cost = pushed_out / (pushed_out + (done or 0.0))
    return Shows(evidence=tuple(evidence), cost_share=cost, confidence=Confidence.SURE)


SYMPTOM = Symptom(
    id="kv-preemption",
    title="KV cache full: requests are preempted and computed again",
    cause="the requests in the batch need more KV cache than there is, so some are pushed out and "
    "their tokens are computed again",
    judge=judge,
    actions=("more-kv-memory", "smaller-kv", "fewer-sequences", "shorter-context"),
    advice="let more KV fit (more devices, a smaller model or quantized weights) or fewer requests "
    "in, so that KV usage stays below 90 % at peak",
    steps=("kv-pool-size", "kv-cache-quantization", "kv-offload", "max-num-seqs"),
    not_for=("sglang",),
)

"""Weight-only quantization slows large batches down.

Why       AWQ and GPTQ weights are unpacked before each product; above some tens of sequences the
          product, not the reading of weights, is what takes time. The plain `awq` and `gptq` names
          force slow kernels beside.
Signature The server says that it runs a weight-only format (awq, gptq), and 32 sequences or more
          are in the batch.
Not       Small batches, where weight-only formats are the faster ones; fp8 and w8a8.
Sources   vllm-project/vllm#21376 (5 times), #5316, #21266, PR #2566.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

LARGE_BATCH = 32.0
_SLOW = {"awq", "gptq", "bitsandbytes", "bnb", "gguf"}


def judge(w: Window) -> Answer:
    """A weight-only format at a large batch."""
    form, batch = w.knob("quantization"), signs.batch_mean(w)
    if form is None:
        return CannotTell(because="the server does not say how its weights are quantized")
    if not isinstance(form, str) or form.lower().split("_")[0] not in _SLOW:
        return DoesNotShow(why="the weights are in no weight-only format")
    if batch is None:
        return CannotTell(because="the server does not export its batch")
    if batch < LARGE_BATCH:
        return DoesNotShow(why="the batch is small: reading weights is what takes time")
    evidence = (signs.seen(w, "requests.running", "mean batch", batch),)
    forced = form.lower() in _SLOW
    sure = Confidence.LIKELY if forced else Confidence.POSSIBLE
    return Shows(evidence=evidence, cost_share=0.2 if forced else 0.1, confidence=sure)


SYMPTOM = Symptom(
    id="weight-only-kernel",
    title="Weight-only quantization at a large batch",
    cause="weights are unpacked for every product, which takes longer than reading them would",
    judge=judge,
    actions=("fast-quantized-kernel",),
    steps=("w8a8", "weight-quantization"),
    engines=("vllm", "sglang"),
)

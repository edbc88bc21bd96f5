"""More adapters are asked for than fit at once.

Why       A batch holds `max_loras` adapters; requests of others wait until one is swapped out.
Signature All places of the pool are taken and requests wait for an adapter (vLLM names the waiting
          ones), or SGLang's pool is full in nine readings of ten.
Not       Few adapters; a pool with places left.
Sources   vllm-project/vllm#10062, #7990, PR #15422; sgl-project/sglang PR #13349 (39 ms to 6.3 s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

FULL = 0.9


def judge(w: Window) -> Answer:
    """A full pool, and requests for others."""
    pool, held, most = w.levels("lora.utilization"), w.levels("lora.running"), w.levels("lora.max")
    waiting = w.levels("lora.waiting")
    if pool is not None:
        if pool.mean < FULL:
            return DoesNotShow(why="the pool of adapters has places")
        evidence = signs.seen(w, "lora.utilization", "pool in use", pool.mean, "share")
        return Shows(evidence=(evidence,), cost_share=0.3)
    if held is None or most is None or waiting is None:
        return CannotTell(because="no adapters are served, or the server does not tell of them")
    if held.high < most.last or waiting.mean <= 0 or most.last <= 0:
        return DoesNotShow(why="no request waited for an adapter")
    evidence_of = (
        signs.seen(w, "lora.running", "adapters in the batch", held.high, "count"),
        signs.seen(w, "lora.max", "places for adapters", most.last, "count"),
        signs.seen(w, "lora.waiting", "other adapters waited for, on average", waiting.mean),
    )
    return Shows(evidence=evidence_of, cost_share=waiting.mean / (waiting.mean + held.mean or 1.0))


SYMPTOM = Symptom(
    id="lora-pool",
    title="Requests wait for adapters",
    cause="more LoRA adapters are asked for at once than the pool holds",
    judge=judge,
    actions=("more-adapters",),
    advice="pin the adapters that are asked for most, or merge the dominant one into the weights",
)

"""SGLang takes requests in too early and throws them out again.

Why       Admission guesses how many tokens requests will still generate; a guess that is too low
          fills the cache, and requests are retracted and prefilled anew, again and again.
Signature Retractions grew, or some are held retracted, while token usage was 0.9 or more at its
          peak.
Not       Other engines (see kv-preemption, paused-requests); usage that counts evictable tokens.
Sources   sgl-project/sglang#26248, #6778; SGLang's tuning guide (schedule-conservativeness).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """Retractions, counted or seen."""
    grown, now, usage = signs.preemptions(w), w.levels("requests.preempted_now"), signs.kv(w)
    total = w.levels("preemptions_total")  # 0.5.1 to 0.5.8 export a total as a gauge
    if grown is None and total is not None:
        grown = max(0.0, total.last - total.low)
    if grown is None and now is None:
        return CannotTell(because="this version does not count retractions")
    if not grown and (now is None or now.high <= 0):
        return DoesNotShow(why="no request was retracted")
    done = signs.finished(w) or 0.0
    lost = grown or (now.high if now is not None else 0.0)
    evidence = [signs.seen(w, "preemptions_total", "retractions", lost, "count")]
    if usage is not None:
        evidence.append(signs.seen(w, "kv.usage_fraction", "highest KV usage", usage.high, "share"))
    ratio = w.levels("sched.new_token_ratio")
    if ratio is not None:
        evidence.append(signs.seen(w, "sched.new_token_ratio", "highest ratio", ratio.high))
    cost = lost / (lost + done)
    return Shows(evidence=tuple(evidence), cost_share=cost, confidence=Confidence.SURE)


SYMPTOM = Symptom(
    id="retraction-loop",
    title="KV cache full: requests are retracted and computed again",
    cause="requests are let in before the KV cache has room for their answers, then thrown out",
    judge=judge,
    actions=("careful-admission", "more-kv-memory", "smaller-kv", "fewer-sequences"),
    steps=("kv-pool-size", "kv-cache-quantization", "max-num-seqs"),
    engines=("sglang",),
)

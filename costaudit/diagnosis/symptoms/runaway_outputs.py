"""Generations run on until the context is full.

Why       No max_tokens, a model that does not stop, or one that repeats itself: the longest answers
          hold KV and a place in the batch for nothing.
Signature A hundredth of the answers or more is longer than half of the context limit and ends for
          its length; or the server ends answers for repetition, one in a hundred or more.
Not       Answers that end by a limit which the client set on purpose, well below the context.
Sources   vllm-project/vllm#2215, #13756.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

NEAR_LIMIT = 0.5  # of the context
SHARE = 0.01
FEW = 3  # answers


def judge(w: Window) -> Answer:
    """Answers of the length of the context, and repetition."""
    ended, done = w.by("requests.completed_total"), signs.finished(w) or 0.0
    repeated = ended.get("repetition", 0.0)
    if done and repeated >= FEW and repeated / done >= SHARE:
        where = "requests.completed_total"
        evidence = signs.seen(w, where, "answers ended for repetition", repeated / done, "share")
        return Shows(evidence=(evidence,), cost_share=min(1.0, 10 * repeated / done))
    lengths, limit = w.spread("req.generation_tokens"), signs.context_limit(w)
    if lengths is None or limit is None:
        return CannotTell(because="the lengths of answers or the context limit are not told")
    long = lengths.share_above(NEAR_LIMIT * limit)
    by_length = ended.get("length")
    if not long or long < SHARE or long * lengths.count < FEW or by_length == 0:
        return DoesNotShow(why="hardly any answer is as long as the context allows")
    where = "req.generation_tokens"
    evidence = signs.seen(w, where, "answers longer than half of the context", long, "share")
    return Shows(evidence=(evidence,), cost_share=min(1.0, long * limit / (lengths.mean or limit)))


SYMPTOM = Symptom(
    id="runaway-outputs",
    title="Answers run on until the context is full",
    cause="nothing ends generations that do not end by themselves",
    judge=judge,
    actions=("cap-outputs",),
    advice="set max_tokens and stop strings in the clients",
)

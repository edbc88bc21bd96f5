"""One request that can never be admitted freezes the server.

Why       A prompt longer than the KV cache but within `max_model_len` waits at the head of the
          queue forever, and all others behind it.
Signature Nothing runs, at least one request waits in every reading, KV is nearly empty, and no
          token was generated.
Not       A server that has just been started, or whose queue moves.
Sources   vllm-project/vllm#39734, PR #52530.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING, WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

KV_EMPTY = 0.1


def judge(w: Window) -> Answer:
    """A queue that nothing moves."""
    running, waiting, usage = w.levels(RUNNING), w.levels(WAITING), signs.kv(w)
    if running is None or waiting is None:
        return CannotTell(because="the server does not export how many requests run and wait")
    if waiting.low < 1 or running.high > 0 or signs.generated(w):
        return DoesNotShow(why="requests ran, or none waited")
    if usage is not None and usage.high > KV_EMPTY:
        return DoesNotShow(why="the KV cache is in use")
    evidence = [
        signs.seen(w, RUNNING, "requests running", running.high, "count"),
        signs.seen(w, WAITING, "requests waiting all the time", waiting.low, "count"),
    ]
    if usage is not None:
        evidence.append(signs.seen(w, "kv.usage_fraction", "KV in use", usage.high, "share"))
    return Shows(evidence=tuple(evidence), cost_share=1.0, confidence=Confidence.LIKELY)


SYMPTOM = Symptom(
    id="request-too-large",
    title="Nothing runs while requests wait: the server is frozen",
    cause="a request needs more KV cache than the server has, and holds up all behind it",
    judge=judge,
    actions=("shorter-context", "more-kv-memory"),
    advice="abort that request; max_model_len above what the KV cache holds promises too much",
    steps=("kv-pool-size",),
    urgent=True,
)

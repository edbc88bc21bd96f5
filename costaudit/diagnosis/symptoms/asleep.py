"""The server sleeps.

Why       Its weights are put away; it answers nothing until it is woken, and costs its device all
          the same.
Signature `engine_sleep_state` says so in every reading.
Not       Servers without sleep mode.
Sources   vLLM 0.11.1 v1/metrics (engine_sleep_state).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """The state in its own words."""
    awake = w.levels("server.sleep_state.awake")
    if awake is None:
        return CannotTell(because="the server does not say whether it sleeps")
    if awake.high > 0:
        return DoesNotShow(why="it is awake")
    evidence = signs.seen(w, "server.sleep_state", "awake", awake.high, "count")
    return Shows(evidence=(evidence,), cost_share=1.0, confidence=Confidence.SURE)


SYMPTOM = Symptom(
    id="asleep",
    title="The server sleeps",
    cause="its weights are put away until it is woken",
    judge=judge,
    advice="wake it (POST /wake_up), or give its device back",
    engines=("vllm",),
    urgent=True,
)

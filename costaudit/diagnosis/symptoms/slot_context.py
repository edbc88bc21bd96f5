"""A slot's context is nearly used up.

Why       llama.cpp divides `-c` by its `-np` slots: four slots of a 16k context hold 4k each, and
          longer requests are cut or refused.
Signature The longest context seen fills nine tenths of a slot.
Not       Servers whose cache is unified, which give one request all of it.
Sources   ggml-org/llama.cpp#4289, PR #17767, #23652, #17300.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

FULL = 0.9


def judge(w: Window) -> Answer:
    """The longest context over a slot's."""
    longest, room = w.levels("req.max_context_seen"), signs.context_limit(w)
    if longest is None or room is None:
        return CannotTell(because="the longest context, or a slot's, is not told")
    if longest.high < FULL * room:
        return DoesNotShow(why="slots have room")
    evidence = (
        signs.seen(w, "req.max_context_seen", "longest context", longest.high, "tokens"),
        signs.seen(w, "model.max_len", "context of a slot", room, "tokens"),
    )
    return Shows(evidence=evidence, cost_share=0.1)


SYMPTOM = Symptom(
    id="slot-context",
    title="A slot's context is nearly used up",
    cause="the context is divided among the slots, and requests are as long as one of them",
    judge=judge,
    actions=("larger-slots",),
    steps=("kv-pool-size",),
    engines=("llamacpp",),
)

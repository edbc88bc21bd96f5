"""Ollama serves one request at a time.

Why       OLLAMA_NUM_PARALLEL is 1 by default; layers on the CPU and reloading models slow it
          further.
Signature None can be seen: it exports no metrics, so its setting is only presumed.
Not       Any other engine.
Sources   ollama/ollama#9054, #9787, #8842, #5542, PR #3418.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def judge(w: Window) -> Answer:
    """The setting, as far as it is known."""
    knob = w.knobs.get("max_num_seqs")
    if knob is None or knob.value is None:
        return CannotTell(because="its number of parallel requests is not told")
    if knob.value != 1:
        return DoesNotShow(why="it serves several requests at a time")
    evidence = Evidence(what="requests at a time", value=1, unit="count", where=knob.why)
    return Shows(evidence=(evidence,), cost_share=0.0, confidence=Confidence.POSSIBLE)


SYMPTOM = Symptom(
    id="one-at-a-time",
    title="It may serve one request at a time",
    cause="OLLAMA_NUM_PARALLEL is 1 unless it was set",
    judge=judge,
    actions=("more-sequences",),
    advice="for more than four requests at once a server with continuous batching costs less",
    steps=("continuous-batching",),
    engines=("ollama",),
)

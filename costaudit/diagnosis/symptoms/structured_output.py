"""Structured output holds up the batch.

Why       Grammars are compiled on the CPU, and their masks are computed for each token.
Signature Requests wait for their grammar in a fifth of the readings, or compiling takes a tenth of
          requests' time (SGLang counts both).
Not       vLLM and others, which do not count it.
Sources   vllm-project/vllm#3567 (70 against 800 tokens/s), #49013, PR #10785, PR #12563.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

READINGS = 0.2
TIME = 0.1


def judge(w: Window) -> Answer:
    """Waiting for grammars, and compiling them."""
    waiting, compiled = w.levels("requests.waiting_grammar"), w.spread("grammar.compile_seconds")
    if waiting is None and compiled is None:
        return CannotTell(because="the server does not count structured output")
    whole = w.histograms.get("latency.e2e")
    share = compiled.total / whole.total if compiled and whole and whole.total > 0 else 0.0
    queued = waiting.above_zero_share if waiting is not None else 0.0
    if queued < READINGS and share < TIME:
        return DoesNotShow(why="grammars take no time to speak of")
    evidence = (
        signs.seen(
            w, "requests.waiting_grammar", "readings with a grammar waited for", queued, "share"
        ),
        signs.seen(w, "grammar.compile_seconds", "of requests' time compiling", share, "share"),
    )
    return Shows(evidence=evidence, cost_share=max(share, 0.5 * queued))


SYMPTOM = Symptom(
    id="structured-output",
    title="Requests wait for their grammar",
    cause="grammars of structured output are compiled while requests wait",
    judge=judge,
    actions=("fast-grammar",),
    advice="use few schemas and keep them cached; avoid enums with thousands of values",
)

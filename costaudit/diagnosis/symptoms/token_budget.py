"""Requests wait while every step is as long as it may be: the token budget.

Why       A step takes at most `max_num_batched_tokens`; prompts are let in piece by piece.
Signature Requests wait, KV has room, the batch is below its cap, and the mean step holds 0.8 of the
          known budget or more.
Not       A budget that is not known: then the queue is put down to the load.
Sources   vllm-project/vllm#13508, #14022; vLLM's optimization guide (max_num_batched_tokens).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import needless, queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window


LOST = 0.2  # of the requests in the server wait; below it they are let in soon enough


def judge(w: Window) -> Answer:
    """A queue at full steps."""
    found = queueing.queue(w)
    if found is None:
        return CannotTell(because="the server does not export how many requests wait")
    tokens = w.mean("batch.iteration_tokens")
    if found.why is not Why.BUDGET or tokens is None or found.lost < LOST:
        return DoesNotShow(why="no request waited for the token budget of the steps")
    if needless.spare_first(w):
        return CannotTell(because="prefix caching is off: part of the prompts may be needless")
    evidence = (
        signs.seen(w, "batch.iteration_tokens", "tokens in the mean step", tokens),
        signs.seen(w, WAITING, "mean queue", found.length),
    )
    return Shows(evidence=evidence, cost_share=found.lost)


SYMPTOM = Symptom(
    id="token-budget",
    title="Requests wait while every step is full of tokens",
    cause="the token budget of a step (max_num_batched_tokens) lets prompts in too slowly",
    judge=judge,
    actions=("larger-token-budget",),
    advice="a larger budget makes tokens wait longer behind prompts; if the device is at its "
    "limit, add replicas",
    steps=("token-budget", "prefill-decode-disaggregation"),
)

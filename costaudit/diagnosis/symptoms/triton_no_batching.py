"""Triton executes requests one by one while others wait.

Why       No `dynamic_batching` in the model's configuration, a decoupled model, or clients that
          send one request at a time.
Signature 1.2 inferences or fewer per execution while requests were pending.
Not       No pending requests: the clients send one at a time (see client-limited).
Sources   triton-inference-server/server#3624, #7205, #5721, #4129.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

ALONE = 1.2
PENDING = 0.5  # requests on average


def judge(w: Window) -> Answer:
    """Inferences per execution under a queue."""
    items, runs, pending = (
        w.grown("batch.items_total"),
        w.grown("batch.exec_count"),
        w.levels(WAITING),
    )
    if not items or not runs:
        return CannotTell(because="nothing was executed, or executions are not counted")
    if items / runs > ALONE:
        return DoesNotShow(why="requests are batched")
    if pending is None:
        return CannotTell(because="this version does not export pending requests")
    if pending.mean < PENDING:
        return DoesNotShow(why="hardly any request was pending")
    evidence = (
        signs.seen(w, "batch.items_total", "inferences per execution", items / runs),
        signs.seen(w, WAITING, "pending on average", pending.mean),
    )
    return Shows(evidence=evidence, cost_share=pending.mean / (1 + pending.mean))


SYMPTOM = Symptom(
    id="triton-no-batching",
    title="Requests are executed one by one while others wait",
    cause="the model's configuration has no dynamic batching, or it cannot take effect",
    judge=judge,
    actions=("dynamic-batching", "more-instances"),
    advice="decoupled models are not batched by Triton: their backend must do it",
    steps=("dynamic-batching", "continuous-batching"),
    engines=("triton",),
)

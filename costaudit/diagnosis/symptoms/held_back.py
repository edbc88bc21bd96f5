"""Requests wait because the server holds them back: for a grammar, an adapter, KV from elsewhere.

Why       The batch has room, yet requests wait for something that is not ready: a grammar being
          compiled, an adapter being loaded, KV blocks being fetched, a rate limit.
Signature The server's own reasons (`waiting_by_reason`, vLLM 0.20 and later) name another than
          "capacity" for half of the queue.
Not       Servers that give no reasons.
Sources   vLLM 0.20 v1/metrics (num_requests_waiting_by_reason: capacity, deferred).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import WAITING

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """A queue of another reason than capacity."""
    found = queueing.queue(w)
    if found is None:
        return CannotTell(because="the server does not export how many requests wait")
    if found.why is not Why.HELD:
        return DoesNotShow(why="no request was held back for a reason of its own")
    evidence = (
        signs.seen(w, WAITING, "mean queue", found.length),
        signs.seen(w, "requests.waiting_by_reason", "mean batch meanwhile", found.batch),
    )
    return Shows(evidence=evidence, cost_share=found.lost)


SYMPTOM = Symptom(
    id="held-back",
    title="Requests wait although the batch has room: the server holds them back",
    cause="what the waiting requests need is not ready: a grammar, an adapter, KV from elsewhere",
    judge=judge,
    advice="look at structured output (compile schemas once), at adapters (see lora-pool), and at "
    "the link over which KV is fetched",
)

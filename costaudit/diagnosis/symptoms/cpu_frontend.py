"""The API server's processor is the limit: tokenizing, streaming, detokenizing.

Why       One Python process reads, tokenizes and streams for all requests; the engine waits for it.
Signature The server's process used 0.9 of a core or more, requests did not wait in the engine's
          queue, and half of the time to the first token is neither queue nor prefill.
Not       A queue in the engine; a process that is mostly idle.
Sources   vllm-project/vllm#4806, #14538, #25301, #11320; sgl-project/sglang#23393.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.queueing import Why
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

CORE = 0.9
OUTSIDE = 0.5  # of the time to the first token


def judge(w: Window) -> Answer:
    """A full core, and first tokens that are late for no reason of the engine's."""
    cpu, found = w.rate("cpu.process_seconds_total"), queueing.queue(w)
    ttft, prefill = w.mean("latency.ttft"), w.mean("latency.prefill")
    if cpu is None:
        return CannotTell(because="the server does not export its processor time")
    if cpu < CORE:
        return DoesNotShow(why="its process has processor time to spare")
    if found is None or ttft is None or prefill is None:
        return CannotTell(because="the server does not time first tokens, queue and prefill")
    outside = max(0.0, ttft - prefill - (w.mean("latency.queue") or 0.0)) / ttft
    if found.why is not Why.NONE or outside < OUTSIDE:
        return DoesNotShow(why="requests spend their time in the engine")
    evidence = (
        signs.seen(w, "cpu.process_seconds_total", "cores used by the API server", cpu),
        signs.seen(
            w, "latency.ttft", "of the first token's time outside the engine", outside, "share"
        ),
    )
    return Shows(evidence=evidence, cost_share=outside)


SYMPTOM = Symptom(
    id="cpu-frontend",
    title="The API server's processor is the limit",
    cause="one process tokenizes and streams for all requests, and its core is full",
    judge=judge,
    actions=("more-frontends",),
    advice="a fast tokenizer, longer intervals between streamed pieces, several replicas",
)

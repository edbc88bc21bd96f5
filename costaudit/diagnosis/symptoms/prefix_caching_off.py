"""Prefix caching is off while prompts are most of the work.

Why       Requests that open with the same tokens pay for the same prefill each time.
Signature The server says that caching is off, a fifth or more of requests' time outside the queue
          is prefill, and all prompts are long: whatever all of them share is no longer than the
          shortest, so the first quartile of their lengths over the mean bounds what can be shared.
Not       Short prompts before long answers; lengths so mixed that no large part can be common. No
          metric says whether prompts really repeat: with caching off none is asked (queries stay 0,
          which is no data and not 0 %).
Sources   vllm-project/vllm V1 defaults (on since 0.8); captures of a vLLM 0.32 with caching off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

PREFILL_SHARE = 0.2
SHARED_AT_MOST = 0.4  # of the prompt tokens
SHORT = 64.0  # tokens; a few blocks


def judge(w: Window) -> Answer:
    """Caching known to be off, and prompts that matter."""
    on = w.knob("enable_prefix_caching")
    if on is None:
        return CannotTell(because="the server does not say whether prefix caching is on")
    if (
        on
        or w.grown("prefix.queries_total")
        or w.knobs["enable_prefix_caching"].origin == "default"
    ):
        return DoesNotShow(why="prefix caching is on, or nothing says that it is off")
    prompts, mean = w.spread("req.prompt_tokens"), w.mean("req.prompt_tokens")
    if prompts is None or mean is None:
        return CannotTell(because="no request ended, or the lengths of prompts are not told")
    share = _prefill_share(w)
    if share is None:
        return CannotTell(because="the server does not time prefill and decode")
    if mean < SHORT or share < PREFILL_SHARE:
        return DoesNotShow(why="prompts are a small part of the work")
    quartile = prompts.between(0.25)
    shared = min(1.0, quartile[0] / mean) if quartile is not None else 0.0
    evidence = (
        signs.seen(w, "prefix.queries_total", "asked of the cache", 0, "count"),
        signs.seen(w, "latency.prefill", "of requests' time is prefill", share, "share"),
        signs.seen(w, "req.prompt_tokens", "mean prompt", mean, "tokens"),
        signs.seen(w, "req.prompt_tokens", "could be shared at most", shared, "share"),
    )
    sure = Confidence.LIKELY if shared >= SHARED_AT_MOST else Confidence.POSSIBLE
    return Shows(evidence=evidence, cost_share=share * max(shared, 0.1), confidence=sure)


def _prefill_share(w: Window) -> float | None:
    prefill, decode = w.histograms.get("latency.prefill"), w.histograms.get("latency.decode")
    if prefill is None or decode is None or prefill.total + decode.total <= 0:
        return None
    return prefill.total / (prefill.total + decode.total)


SYMPTOM = Symptom(
    id="prefix-caching-off",
    title="Prefix caching is off while prompts are a large part of the work",
    cause="prompts that open alike are computed anew each time, because prefix caching is off",
    judge=judge,
    actions=("prefix-caching",),
    advice="it costs nothing to switch on; its counters then say how much of the prompts repeats",
    steps=("prefix-caching", "prefix-affine-routing"),
)

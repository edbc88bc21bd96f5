"""Prefix caching is off while prompts are most of the work.

Why       Requests that open with the same tokens pay for the same prefill each time.
Signature The server says that caching is off; a seventh or more of requests' time outside the queue
          or of the device's is prefill, or six sevenths of all tokens are prompt. Whatever all
          prompts share is no longer than the shortest, so the first quartile of their lengths over
          the mean bounds what can be shared.
Not       Short prompts before long answers. Never more than possible: with caching off nothing is
          asked of the cache (queries stay 0, which is no data and not 0 %), a prompt that repeats
          takes as long as one that does not, and alike lengths are those of a template or of
          chance. A minute with caching on tells.
Sources   vllm-project/vllm V1 defaults (on since 0.8); captures of a vLLM 0.32 with caching off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import needless, signs
from costaudit.diagnosis.symptom import (
    Answer,
    CannotTell,
    Confidence,
    DoesNotShow,
    Shows,
    Symptom,
)

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """Caching known to be off, and prompts that matter."""
    off, found = needless.caching_off(w), needless.prefills(w)
    if off is None:
        return CannotTell(because="the server does not say whether prefix caching is on")
    if not off:
        return DoesNotShow(why="prefix caching is on, or nothing says that it is off")
    if found is None or (found.time_share is None and found.token_share is None):
        return CannotTell(because="no request ended, or nothing is told of prompts")
    if not found.matter:
        return DoesNotShow(why="prompts are a small part of the work")
    told = (
        ("latency.prefill", "requests' time in prefill", found.time_share, "share"),
        (
            "batch.iteration_tokens",
            "device's time in prefill, at least",
            found.device_share,
            "share",
        ),
        ("tokens.prompt_total", "prompts among all tokens", found.token_share, "share"),
        ("req.prompt_tokens", "mean prompt", found.mean_tokens, "tokens"),
        ("req.prompt_tokens", "of it common to all, at most", found.shared_share, "share"),
    )
    return Shows(
        evidence=tuple(
            signs.seen(w, name, what, value, unit)
            for name, what, value, unit in told
            if value is not None
        ),
        cost_share=found.weight * found.shared_share,
        confidence=Confidence.POSSIBLE,
    )


SYMPTOM = Symptom(
    id="prefix-caching-off",
    title="Prefix caching is off while prompts are a large part of the work",
    cause="prefix caching is off: what prompts share at their beginning (a system prompt, "
    "examples, a conversation) is computed anew for each",
    judge=judge,
    actions=("prefix-caching",),
    advice="whether prompts repeat is in no metric while it is off. To find out: switch it on at "
    "one replica and diagnose that again, hits over queries say it within a minute; or compare the "
    "beginnings of two prompts. It only uses blocks that are free, so it costs nothing to leave on",
    steps=("prefix-caching", "prefix-affine-routing"),
)

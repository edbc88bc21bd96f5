"""Tokens stutter under load: prefill and decode share the steps.

Why       Each prompt that is let in makes a step longer, and with many prompts most steps are. The
          larger the token budget, the longer the longest step.
Signature Gaps between tokens of five times the usual take a fifth of decode time or more, and each
          sequence sees one or more of them for each prompt; prompts are short, or cut into chunks.
Not       Long prompts in one step each (see prefill-stalls); prompts that a prefix cache, which is
          off, might have answered (first switch it on).
Sources   vllm-project/vllm#3130, PR #8378.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.stalls import (
    CHUNKED,
    EXPLAINED,
    FEW_PROMPTS,
    LONG_TOKENS,
    gaps_a_prompt,
    long_prompts,
    prefill_tokens,
    prefills,
    stalls,
)
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

TIME_SHARE = 0.2


def judge(w: Window) -> Answer:
    """Long gaps that prompts of usual length explain."""
    found, among, tokens = stalls(w), long_prompts(w), prefill_tokens(w)
    if found is None or tokens is None:
        return CannotTell(because="gaps between tokens, or lengths of prompts, are not told")
    count = prefills(w)
    gaps = gaps_a_prompt(w, found, count)
    if found.time_share < TIME_SHARE or gaps < EXPLAINED or count < FEW_PROMPTS:
        return DoesNotShow(why="the gaps between tokens are even, or not of the prompts' making")
    whole = tokens >= LONG_TOKENS or (among is not None and among[0] >= FEW_PROMPTS)
    if whole and (gaps <= CHUNKED or w.knob("chunked_prefill") is False):
        return DoesNotShow(why="long prompts, whole in one step each, make the gaps")
    if w.knob("enable_prefix_caching") is False:
        return CannotTell(because="prefix caching is off: some of the prefills may be needless")
    evidence = (
        signs.seen(w, "latency.itl", "gaps far above the usual", found.gaps, "count"),
        signs.seen(w, "latency.itl", "usual gap at most", found.usual_s, "s"),
        signs.seen(w, "latency.itl", "of decode time", found.time_share, "share"),
        signs.seen(w, "latency.itl", "such gaps a prompt and sequence", gaps),
    )
    return Shows(evidence=evidence, cost_share=found.time_share)


SYMPTOM = Symptom(
    id="decode-stutter",
    title="Tokens stutter: prompts and answers share the steps",
    cause="each prompt that is let in makes a step of the whole batch longer",
    judge=judge,
    actions=("smaller-token-budget",),
    advice="prefill on devices of their own where the time between tokens matters more than cost",
    steps=("token-budget", "prefill-decode-disaggregation"),
)

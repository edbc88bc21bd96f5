"""Tokens stutter under load: prefill and decode share the steps.

Why       Each prompt that is let in makes a step longer, and with many prompts most steps are. The
          larger the token budget, the longer the longest step.
Signature Gaps between tokens of four times the usual take a fifth of decode time or more, and
          prompts explain them; long prompts are cut into chunks already, or a tenth of the steps
          holds 512 tokens or more, of many prompts at once.
Not       Short prompts one by one, which no budget makes shorter. Long prompts in one step each
          (see prefill-stalls). Prompts that a prefix cache, which is off, might have answered.
Sources   vllm-project/vllm#3130, PR #8378.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import needless, signs
from costaudit.diagnosis.stalls import (
    CHUNKED,
    EXPLAINED,
    FEW_PROMPTS,
    LONG_TOKENS,
    gaps_a_prompt,
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
    found, tokens = stalls(w), prefill_tokens(w)
    if found is None or tokens is None:
        return CannotTell(because="gaps between tokens, or lengths of prompts, are not told")
    count = prefills(w)
    gaps = gaps_a_prompt(w, found, count)
    if found.time_share < TIME_SHARE or gaps < EXPLAINED or count < FEW_PROMPTS:
        return DoesNotShow(why="the gaps between tokens are even, or not of the prompts' making")
    if w.knob("chunked_prefill") is False:
        return DoesNotShow(why="long prompts, whole in one step each, make the gaps")
    steps = w.spread("batch.iteration_tokens")
    full = steps.between(0.9) if steps is not None else None
    together = full is not None and full[0] >= LONG_TOKENS and tokens < LONG_TOKENS
    if not together and (tokens < LONG_TOKENS or gaps <= CHUNKED):
        return DoesNotShow(why="no step is made long by a budget that is too large")
    if needless.spare_first(w):
        return CannotTell(because="prefix caching is off: some of the prefills may be needless")
    evidence = (
        signs.seen(w, "latency.itl", "gaps far above the usual", found.gaps, "count"),
        signs.seen(w, "latency.itl", "usual gap at most", found.usual_s, "s"),
        signs.seen(w, "latency.itl", "decode time in such gaps", found.time_share, "share"),
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

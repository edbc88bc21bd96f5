"""A long prompt stops all others: it is prefilled in one step.

Why       Without chunked prefill, or with a token budget above the prompt, one step holds the whole
          prompt, and every sequence in the batch waits for that step.
Signature Gaps between tokens of four times the usual take a tenth of decode time or more (where the
          server says that it does not cut prompts: twice, and a twentieth; where it does not say,
          but long prompts come among short ones: twice, and a sixth; or they stop the others for
          most of their own prefill: twice, and 30 %). Each sequence sees about one of them for each
          long prompt (those far above the median, else all where 512 tokens or more are computed
          for a prompt), so a prompt is one step. Of few prompts: where the server says that it does
          not cut them, steps of 512 tokens or more count too, and where they are most of all steps
          nothing else need be seen; where it does not say, fewer than three prompts make it
          possible only.
Not       Gaps that prompts do not explain, or of a small part of their prefills' time; many gaps
          for each prompt, which is then cut already (see decode-stutter); long prompts alike while
          prefix caching is off (see prefix-caching-off: first spare the work, then schedule it).
Sources   vllm-project/vllm#21495, #8086, #7604, PR #33743.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from costaudit.diagnosis import needless, signs
from costaudit.diagnosis.stalls import (
    CHUNKED,
    EXPLAINED,
    FEW_PROMPTS,
    LONG_FROM,
    LONG_TOKENS,
    above,
    gaps_a_prompt,
    long_among_short,
    long_prompts,
    long_step_share,
    prefill_tokens,
    prefills,
    stalled_share,
    stalls,
)
from costaudit.diagnosis.symptom import (
    Answer,
    CannotTell,
    Confidence,
    DoesNotShow,
    Shows,
    Symptom,
)
from costaudit.target.target import Origin

if TYPE_CHECKING:
    from costaudit.diagnosis.stalls import Stalls
    from costaudit.measure.window import Window

TIME_SHARE = 0.1
NEAR = 2.0  # times the usual gap
TIME_SHARE_UNCUT = 0.05  # of gaps so near, where the server says that it does not cut prompts
TIME_SHARE_NEAR = 1 / 6  # … and where it does not say, but each long prompt makes one of them
MUCH_TIME = 0.3  # … or each prompt stops the others for most of its prefill
# Of a prefill's own seconds that others are stopped for: less are pauses, or some of many chunks,
# unless such gaps take much time; most, where a prompt is one step.
SOME_STALLED, MOST_STALLED = 1 / 3, 0.5
# Of such gaps: fewer are a pause of the machine, more are chunks. Bounds and share by the states
# that tests/diagnosis/test_made_states.py draws.
ONE_A_PROMPT = (0.45, 1.5)
MOST_STEPS = 0.5
TOKEN_SHARE = 0.2  # of the prompt tokens are in long prompts


class _Bar(NamedTuple):
    """From which share of decode time gaps count, and how many a prompt at most."""

    time_share: float
    most_gaps: float
    uncut: bool = False  # the server says that it does not cut prompts


_FAR = _Bar(time_share=TIME_SHARE, most_gaps=CHUNKED)
_NEAR = _Bar(time_share=TIME_SHARE_NEAR, most_gaps=ONE_A_PROMPT[1])
_WHOLE = _Bar(time_share=MUCH_TIME, most_gaps=ONE_A_PROMPT[1])
_UNCUT = _Bar(time_share=TIME_SHARE_UNCUT, most_gaps=math.inf, uncut=True)
_OFF = "long prompts are prefilled whole, in one step each: chunked prefill is off"
_OFF_ACTIONS = ("chunked-prefill", "smaller-token-budget")
_NOT_THEIRS = "the long gaps are not of whole prompts' making"
_BUDGET = "the token budget of a step holds a long prompt whole, so it is prefilled in one step"


def judge(w: Window) -> Answer:
    """Long gaps, one a prompt; or uncut prompts in most steps."""
    chunked_off = w.knob("chunked_prefill") is False
    if chunked_off and long_step_share(w) >= MOST_STEPS:
        return _all_along(w)
    far, near = stalls(w), stalls(w, NEAR)
    if far is None or near is None:
        return CannotTell(because="the server does not time the gaps between tokens")
    if chunked_off:
        return _by_gaps(w, near, _long(w, whole=True), _UNCUT)
    return _by_either(w, far, near)


def _by_either(w: Window, far: Stalls, near: Stalls) -> Answer:
    """Nobody says that prompts are not cut: gaps far above the usual, or near ones of prompts."""
    long, among = _long(w, whole=False), long_among_short(w)
    stalled = stalled_share(w, near, max(among, long.prompts))
    pauses = stalled is not None and stalled < SOME_STALLED and near.time_share < MUCH_TIME
    least = ONE_A_PROMPT[0] * _steps_a_prompt(w)
    if pauses or (long.prompts and gaps_a_prompt(w, near, long.prompts) < least):
        return DoesNotShow(why=_NOT_THEIRS)
    by_far = _by_gaps(w, far, long, _FAR)
    if isinstance(by_far, DoesNotShow) and among:
        return _by_gaps(w, near, _Long(prompts=among, mixed=True), _NEAR)
    if isinstance(by_far, DoesNotShow) and stalled is not None and stalled >= MOST_STALLED:
        return _by_gaps(w, near, long, _WHOLE)
    return by_far


def _by_gaps(w: Window, found: Stalls, long: _Long, bar: _Bar) -> Answer:
    chunked_off, count = bar.uncut, long.prompts
    if found.time_share < bar.time_share:
        return DoesNotShow(why="the gaps between tokens are even")
    if count < 1:
        return DoesNotShow(why="no long prompts were prefilled")
    gaps = gaps_a_prompt(w, found, count)
    if not EXPLAINED <= gaps <= bar.most_gaps:
        return DoesNotShow(why=_NOT_THEIRS)
    if not long.mixed and not chunked_off and needless.spare_first(w):
        return CannotTell(because="prefix caching is off: some of the prefills may be needless")
    evidence = (
        signs.seen(w, "latency.itl", "gaps far above the usual", found.gaps, "count"),
        signs.seen(w, "latency.itl", "usual gap at most", found.usual_s, "s"),
        signs.seen(w, "latency.itl", "these gaps at least", found.from_s, "s"),
        signs.seen(w, "latency.itl", "decode time in such gaps", found.time_share, "share"),
        signs.seen(w, "req.prompt_tokens", "long prompts", count, "count"),
        signs.seen(w, "latency.itl", "such gaps a prompt and sequence", gaps),
    )
    cause, actions, sure = _particular(w)
    if count < FEW_PROMPTS:
        sure = Confidence.LIKELY if chunked_off else Confidence.POSSIBLE
    return Shows(
        evidence=evidence,
        cost_share=found.time_share,
        confidence=sure,
        cause=cause,
        actions=actions,
    )


def _all_along(w: Window) -> Answer:
    """There is no usual gap left to compare with."""
    share = long_step_share(w)
    evidence = [
        signs.seen(w, "batch.iteration_tokens", "steps with a long prompt whole", share, "share")
    ]
    mean = w.mean("latency.itl")
    if mean is not None:
        evidence.append(signs.seen(w, "latency.itl", "mean gap between tokens", mean, "s"))
    return Shows(
        evidence=tuple(evidence),
        cost_share=share,
        confidence=Confidence.SURE,
        cause=_OFF,
        actions=_OFF_ACTIONS,
    )


class _Long(NamedTuple):
    """Long prompts of the window, and whether they came among short ones."""

    prompts: float
    mixed: bool


def _long(w: Window, *, whole: bool) -> _Long:
    """`whole`: each is one step, so steps of so many tokens count where too few requests ended."""
    among, tokens = long_prompts(w), prefill_tokens(w)
    if among is not None and among[0] >= 1 and among[1] >= TOKEN_SHARE:
        return _Long(prompts=among[0], mixed=True)
    if tokens is not None and tokens >= LONG_TOKENS:
        return _Long(prompts=prefills(w), mixed=False)
    steps = w.spread("batch.iteration_tokens")
    if whole and steps is not None:
        return _Long(prompts=above(steps, LONG_TOKENS)[0], mixed=True)
    return _Long(prompts=0.0, mixed=False)


def _steps_a_prompt(w: Window) -> float:
    """Steps that a long prompt takes at least, by a budget that is known; else 1."""
    prompts, budget = w.spread("req.prompt_tokens"), _known_budget(w)
    count, tokens = above(prompts, LONG_FROM) if prompts is not None else (0.0, 0.0)
    return max(1.0, tokens / count / budget) if count and budget else 1.0


def _known_budget(w: Window) -> float | None:
    """Tokens of a step by the server's or the user's word; None: nobody told."""
    budget = w.knobs.get("max_num_batched_tokens")
    if budget is None or budget.origin not in {Origin.EXPORTED, Origin.GIVEN}:
        return None
    return _number(budget.value)


def _particular(w: Window) -> tuple[str, tuple[str, ...], Confidence]:
    """The cause by the settings, as far as they are known."""
    chunked, prompts = w.knobs.get("chunked_prefill"), w.spread("req.prompt_tokens")
    if chunked is not None and chunked.value is False:
        return _OFF, _OFF_ACTIONS, Confidence.SURE
    longest = prompts.between(1.0) if prompts is not None else None
    budget = _known_budget(w)
    if longest is not None and budget is not None and budget > longest[0]:
        return _BUDGET, ("smaller-token-budget", "long-prefill-threshold"), Confidence.SURE
    return "", (), Confidence.LIKELY


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


SYMPTOM = Symptom(
    id="prefill-stalls",
    title="Long prompts stop everybody else's tokens",
    cause="long prompts are prefilled in steps so long that all others wait: chunked prefill is "
    "off, or its chunks are too large",
    judge=judge,
    actions=("chunked-prefill", "smaller-token-budget", "long-prefill-threshold"),
    advice="chunks as large as the time between tokens allows; if long prompts are common, prefill "
    "on devices of their own",
    steps=("chunked-prefill", "token-budget", "prefill-decode-disaggregation"),
)

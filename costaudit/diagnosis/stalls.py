"""Gaps between tokens that are far longer than usual, and whether prefills explain them.

A step that holds a prompt takes longer, and every sequence in the batch waits for it: with `n`
prompts and a batch of `b` some `n × b` gaps are long. Gaps that are long for another reason (a
neighbour on the machine, a paused process) are not of that number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.measure.phase_seconds import computed_prompt_tokens

if TYPE_CHECKING:
    from costaudit.measure.window import Spread, Window

FAR = 4.0  # times the median's bucket
EXPLAINED = 0.3  # long gaps a prompt and sequence; prompts that come together share a step
CHUNKED = 2.5  # from here on prompts are cut into chunks
LONG_TOKENS = 512.0  # a prompt that would be cut, were the chunks of the usual small size
LONG_PROMPT = 4.0  # times the median's bucket
# Edges of vLLM's buckets, in tokens, and the share of prompts from which short ones are no rarity.
LONG_FROM, SHORT_TO, SHORT_SHARE = 500.0, 200.0, 0.15
FEW_PROMPTS = 3
_LEAST = 0.05  # of the gaps; below is chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls:
    """Long gaps of a window.

    Attributes:
        gaps: how many. time_share: of all decode time, at least (by the lower edges).
        usual_s, from_s: upper edge of the bucket of a usual gap, which is the median of those
            steps that hold no long prompt; the edge above which a gap is long.
    """

    gaps: float
    time_share: float
    usual_s: float
    from_s: float


def stalls(w: Window, far: float = FAR) -> Stalls | None:
    """The gaps of `far` times the usual; None: the server does not time the gaps between tokens."""
    gaps = w.spread("latency.itl")
    if gaps is None or not gaps.edges or gaps.total <= 0:
        return None
    usual = gaps.between(max(_LEAST, (1 - long_step_share(w)) / 2))
    if usual is None or not math.isfinite(usual[1]):
        return None
    count, least = above(gaps, far * usual[1])
    edge = next((at for at, _ in gaps.edges if at >= far * usual[1]), math.inf)
    return Stalls(
        gaps=count, time_share=min(1.0, least / gaps.total), usual_s=usual[1], from_s=edge
    )


def long_step_share(w: Window) -> float:
    """Share of the steps that held a long prompt, or several; 0 where it is not told."""
    steps = w.spread("batch.iteration_tokens")
    return above(steps, LONG_TOKENS)[0] / steps.count if steps is not None else 0.0


def long_prompts(w: Window) -> tuple[float, float] | None:
    """Prompts far longer than the median: how many, and their least share of prompt tokens."""
    prompts = w.spread("req.prompt_tokens")
    usual = prompts.between(0.5) if prompts is not None else None
    if prompts is None or usual is None or not math.isfinite(usual[1]) or prompts.total <= 0:
        return None
    count, least = above(prompts, LONG_PROMPT * usual[1])
    return count, min(1.0, least / prompts.total)


def long_among_short(w: Window) -> float:
    """Long prompts where short ones are no rarity; 0 where all are long, or none is."""
    prompts = w.spread("req.prompt_tokens")
    if prompts is None or prompts.count <= 0:
        return 0.0
    short = prompts.count - above(prompts, SHORT_TO)[0]
    return above(prompts, LONG_FROM)[0] if short >= SHORT_SHARE * prompts.count else 0.0


def prefills(w: Window) -> float:
    """Prompts that were prefilled in the window: first tokens, else requests that ended."""
    first = w.spread("latency.ttft") or w.spread("req.prompt_tokens")
    return first.count if first is not None else 0.0


def prefill_tokens(w: Window) -> float | None:
    """Mean tokens computed for a prompt (without those found in the prefix cache)."""
    computed = computed_prompt_tokens(w)
    count = prefills(w)
    if computed is not None and count > 0:
        return computed / count
    return w.mean("req.prompt_computed_tokens") or w.mean("req.prompt_tokens")


def gaps_a_prompt(w: Window, found: Stalls, prompts: float) -> float:
    """Long gaps that each sequence of the batch sees for each prompt.

    About one where a prompt is prefilled in one step, as many as its chunks where it is cut; a
    small part of one where the gaps have another reason.
    """
    batch = (signs.batch_mean(w) or 0.0) / signs.ranks(w)  # a prompt stops those of its own rank
    return found.gaps / (prompts * batch) if batch and prompts > 0 else 0.0


def stalled_share(w: Window, found: Stalls, prompts: float) -> float | None:
    """Seconds that a long prompt stops each sequence for, at least, over those of its own prefill.

    Most of them where it is one step; a small part where the gaps are pauses of the machine, or a
    few of its many chunks. None: the server does not time prefills, or no long one ended.
    """
    prefill, lengths = w.spread("latency.prefill"), w.spread("req.prompt_tokens")
    gaps, batch = w.spread("latency.itl"), (signs.batch_mean(w) or 0.0) / signs.ranks(w)
    if prefill is None or lengths is None or gaps is None or not batch or prompts <= 0:
        return None
    long = above(lengths, LONG_FROM)[0]
    own_s = prefill.total - max(0.0, prefill.count - long) * found.usual_s
    if long < 1 or own_s <= 0:
        return None
    stalled_s = found.time_share * gaps.total / (prompts * batch)
    return stalled_s / (own_s / long)


def above(spread: Spread, edge: float) -> tuple[float, float]:
    """Observations in buckets that begin at `edge` or later, and the least that they sum to."""
    count, least, low, before = 0.0, 0.0, 0.0, 0.0
    for at, up_to in spread.edges:
        inside = max(0.0, up_to - before)
        if low >= edge:
            count += inside
            least += inside * low
        low, before = at, up_to
    return count, least

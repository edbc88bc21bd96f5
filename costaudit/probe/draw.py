"""Requests drawn from a workload as plain lengths, and how lengths are scaled to a model."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.stats import mean, percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.probe.workload import Workload

CONVERSATIONS = 8  # at once, where the workload has arrivals
SUMMARY_DRAWS = 1000  # quantiles that stand for the declared distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRequest:
    """One request as plain lengths; the first `prefix_tokens` are shared within `prefix_id`."""

    prompt_tokens: int
    output_tokens: int
    arrival_s: float = 0.0
    prefix_id: int | None = None
    prefix_tokens: int = 0


def draw(
    workload: Workload, *, requests: int | None = None, scale: float = 1.0, seed: int | None = None
) -> tuple[DrawnRequest, ...]:
    """`requests` requests (the declared number by default) in order of arrival.

    Lengths lie at evenly spaced quantiles in a seeded order, prompts and outputs independent of
    each other: a handful keeps the distribution's mean and tail, where independent draws would
    need hundreds. `scale` multiplies all lengths, the shared prefix too. Fewer requests than
    declared fall into proportionally fewer prefix groups, so that prompts repeat as often.

    Of conversations the prompt of a turn is all that was said before (prompts and answers) and what
    it adds; its prefix is the prompt before, its `prefix_id` the conversation. As many take turns
    as the workload has users at once.
    """
    count = requests or workload.requests
    rng = random.Random(workload.seed if seed is None else seed)
    prompts = _drawn(workload.prompt_tokens.spread(count), scale, rng)
    outputs = _drawn(workload.output_tokens.spread(count), scale, rng)
    arrivals = _arrivals(workload.requests_per_s, count, rng)
    if workload.turns > 1:
        return _conversations(workload, prompts, outputs, arrivals)
    groups = _groups(workload, count, rng)
    share = max(1, round(workload.prefix.share_tokens * scale)) if workload.prefix else 0
    return tuple(
        DrawnRequest(
            prompt_tokens=prompt,
            output_tokens=output,
            arrival_s=arrival,
            prefix_id=group,
            prefix_tokens=0 if group is None else min(share, prompt),
        )
        for prompt, output, arrival, group in zip(prompts, outputs, arrivals, groups, strict=True)
    )


def _conversations(
    workload: Workload, added: list[int], outputs: list[int], arrivals: list[float]
) -> tuple[DrawnRequest, ...]:
    at_once, turns = workload.concurrency or CONVERSATIONS, workload.turns
    said: dict[int, tuple[int, int]] = {}  # of each conversation: its last prompt, and all so far
    drawn = []
    for place, (new, output, arrival) in enumerate(zip(added, outputs, arrivals, strict=True)):
        number = place // (at_once * turns) * at_once + place % at_once
        before, whole = said.get(number, (0, 0))
        prompt = whole + new
        said[number] = (prompt, prompt + output)
        drawn.append(
            DrawnRequest(
                prompt_tokens=prompt,
                output_tokens=output,
                arrival_s=arrival,
                prefix_id=number,
                prefix_tokens=before,
            )
        )
    return tuple(drawn)


def context_scale(workload: Workload, max_context_tokens: int) -> float:
    """Largest scale (at most 1) at which any prompt and any output fit together in a context."""
    longest = draw(workload)
    need = max(r.prompt_tokens for r in longest) + max(r.output_tokens for r in longest)
    if need <= max_context_tokens:
        return 1.0
    return max(0.0, (max_context_tokens - 2) / need)  # two tokens may be added by rounding


def declared_lengths(workload: Workload) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Mean, p50 and p95 of the declared prompts and outputs, within their bounds."""
    return (
        summary(workload.prompt_tokens.spread(SUMMARY_DRAWS)),
        summary(workload.output_tokens.spread(SUMMARY_DRAWS)),
    )


def summary(tokens: Sequence[int]) -> Mapping[str, float]:
    """Mean, p50 and p95 of some lengths."""
    return {"mean": mean(tokens), "p50": percentile(tokens, 0.5), "p95": percentile(tokens, 0.95)}


def _drawn(spread: list[int], scale: float, rng: random.Random) -> list[int]:
    lengths = [max(1, round(tokens * scale)) for tokens in spread]
    rng.shuffle(lengths)
    return lengths


def _arrivals(requests_per_s: float | None, count: int, rng: random.Random) -> list[float]:
    if requests_per_s is None:
        return [0.0] * count
    clock, arrivals = 0.0, []
    for _ in range(count):
        clock += rng.expovariate(requests_per_s)
        arrivals.append(clock)
    return arrivals


def _groups(workload: Workload, count: int, rng: random.Random) -> list[int | None]:
    if workload.prefix is None:
        return [None] * count
    number = max(1, round(workload.prefix.groups * min(1.0, count / workload.requests)))
    groups: list[int | None] = [i % number for i in range(count)]
    rng.shuffle(groups)
    return groups

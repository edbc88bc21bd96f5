"""Requests that stand for a demand: what one replica is tried out with."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import accumulate, cycle, islice
from typing import TYPE_CHECKING

from costaudit.traffic.demand import total
from costaudit.traffic.traffic import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.traffic.demand import Demand
    from costaudit.whatif.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Requests in the lengths of the demand, and what is to be said of them."""

    requests: tuple[Request, ...]
    notes: tuple[str, ...] = ()


def sample_requests(scenario: Scenario, demand: Demand | None, count: int) -> Sample:
    """`count` requests: out of the log's lengths, else the scenario's brought to its means.

    A log without single requests has no lengths; then those of the scenario keep their shape.
    Requests that the replica cannot hold are cut to what it can.
    """
    notes: list[str] = []
    if demand is not None and demand.lengths:
        requests = _drawn(demand, count)
    else:
        requests = list(islice(cycle(_plain(scenario.traffic.requests)), count))
        if demand is not None:
            requests, note = _rescaled(requests, demand)
            notes.append(note)
    fitting = [_cut(request, _room(scenario)) for request in requests]
    cut = sum(a != b for a, b in zip(requests, fitting, strict=True))
    if cut:
        notes.append(f"{cut} of {count} sampled requests were cut to what one replica can hold")
    return Sample(requests=tuple(fitting), notes=tuple(notes))


def with_hits(requests: Sequence[Request], share: float) -> tuple[Request, ...]:
    """The same requests with this share of each prompt in common, so that a cache can hold it."""
    return tuple(
        replace(r, prefix_id=0, prefix_tokens=math.floor(share * r.prompt_tokens)) for r in requests
    )


def arriving(requests: Sequence[Request], per_s: float, seed: int = 0) -> tuple[Request, ...]:
    """The same requests as a Poisson stream of this rate."""
    chance, now, made = random.Random(seed), 0.0, []
    for request in requests:
        now += chance.expovariate(per_s)
        made.append(replace(request, arrival_s=now))
    return tuple(made)


def _drawn(demand: Demand, count: int) -> list[Request]:
    """Evenly over the histogram's weight, then shuffled: few draws, all of its shape."""
    weights = list(accumulate(cell.requests for cell in demand.lengths))
    picks = [
        demand.lengths[bisect_left(weights, (n + 0.5) / count * weights[-1])] for n in range(count)
    ]
    random.Random(0).shuffle(picks)
    return [_request(cell.prompt_tokens, cell.output_tokens) for cell in picks]


def _plain(requests: Sequence[Request]) -> list[Request]:
    return [replace(r, batch=None, arrival_s=0.0) for r in requests]


def _rescaled(requests: list[Request], demand: Demand) -> tuple[list[Request], str]:
    """Brought to the log's mean lengths, where it counts its requests."""
    count = total(demand.requests)
    if not count:
        return requests, "the log counts no requests: lengths are those of the recorded workload"
    prompt = total(demand.prompt_tokens) / count * len(requests)
    output = total(demand.output_tokens) / count * len(requests)
    by_prompt = prompt / max(sum(r.prompt_tokens for r in requests), 1)
    by_output = output / max(sum(r.output_tokens for r in requests), 1)
    scaled = [
        replace(
            _request(r.prompt_tokens * by_prompt, r.output_tokens * by_output),
            prefix_id=r.prefix_id,
            prefix_tokens=round(r.prefix_tokens * by_prompt),
        )
        for r in requests
    ]
    return scaled, (
        "the log has no single requests: lengths of the recorded workload, brought to its means "
        f"(prompt × {by_prompt:.2f}, output × {by_output:.2f})"
    )


def _request(prompt_tokens: float, output_tokens: float) -> Request:
    return Request(
        prompt_tokens=max(1, round(prompt_tokens)), output_tokens=max(1, round(output_tokens))
    )


def _room(scenario: Scenario) -> int:
    """Tokens that one sequence may have: the model's context, and the KV memory."""
    blocks = scenario.knobs.kv_budget_tokens // scenario.knobs.kv_block_tokens
    memory = max(blocks * scenario.knobs.kv_block_tokens, 2)
    limits = (scenario.shape.max_context_tokens, scenario.knobs.max_model_len)
    return min([memory, *(limit for limit in limits if limit > 0)])


def _cut(request: Request, room: int) -> Request:
    if request.prompt_tokens + request.output_tokens <= room:
        return request
    output = min(request.output_tokens, max(room // 2, 1))
    prompt = max(min(request.prompt_tokens, room - output), 1)
    return replace(
        request,
        prompt_tokens=prompt,
        output_tokens=output,
        prefix_tokens=min(request.prefix_tokens, prompt),
    )

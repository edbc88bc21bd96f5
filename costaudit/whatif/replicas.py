"""Several replicas behind a router: who gets which request, and what they come to together."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.whatif.latency import pooled
from costaudit.whatif.outcome import KvOutcome, Outcome
from costaudit.whatif.scenario import Batching, Router
from costaudit.whatif.schedule import state_of
from costaudit.whatif.serving import entry_of, machine_now, outcome_of, use_compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.traffic.traffic import Request, Traffic
    from costaudit.whatif.scenario import Scenario
    from costaudit.whatif.scheduler.state import State

Shares = list[list[int]]  # per replica, the places of its requests in the traffic


def run_replicas(
    scenario: Scenario,
    serve: Callable[[Scenario], Outcome],
    *,
    perfect_prefix: bool,
    free_resume: bool,
) -> Outcome:
    """Spread the traffic over the replicas and add up what they come to.

    `serve` is one replica on its own. Least load is decided when a request arrives, by what every
    replica has unfinished then. In a closed loop each client stays with one replica, and static
    batches form apart from each other: there, least load is round robin.
    """
    traffic = scenario.traffic
    live = scenario.knobs.batching is Batching.CONTINUOUS and traffic.concurrency is None
    if scenario.router is Router.LEAST_LOAD and live:
        shares, outcomes = _least_load(
            scenario, perfect_prefix=perfect_prefix, free_resume=free_resume
        )
    else:
        shares = [share for share in _shares(scenario) if share]
        outcomes = [serve(_part(scenario, share)) for share in shares]
    idle_s = 0.0
    if traffic.concurrency is None:  # a replica that is done early waits for the others
        end_s = max((outcome.window_s for outcome in outcomes), default=0.0)
        end_s = max(end_s, traffic.window_s or 0.0)
        idle_s = math.fsum(end_s - outcome.window_s for outcome in outcomes)
        idle_s += end_s * (scenario.replicas - len(outcomes))
    return _together(traffic, shares, outcomes, idle_s)


def _shares(scenario: Scenario) -> Shares:
    traffic, count = scenario.traffic, scenario.replicas
    if traffic.concurrency is not None:
        count = min(count, traffic.concurrency)
    shares: Shares = [[] for _ in range(count)]
    homes: dict[int, int] = {}
    turn = 0
    for place, request in enumerate(traffic.requests):
        prefix = _prefix(request) if scenario.router is Router.PREFIX_AFFINITY else None
        match scenario.router, prefix:
            case Router.PREFIX_AFFINITY, int(key):
                home = homes.setdefault(key, len(homes) % count)
            case _:
                home, turn = turn % count, turn + 1
        shares[home].append(place)
    return shares


def _prefix(request: Request) -> int | None:
    return request.block_hashes[0] if request.block_hashes else request.prefix_id


def _part(scenario: Scenario, share: Sequence[int]) -> Scenario:
    """One replica's traffic; of the clients of a closed loop it has its part."""
    traffic = scenario.traffic
    clients = traffic.concurrency
    if clients is not None:
        clients = max(1, round(clients * len(share) / len(traffic.requests)))
    requests = tuple(traffic.requests[place] for place in share)
    part = replace(traffic, requests=requests, concurrency=clients, window_s=None)
    return replace(scenario, traffic=part, replicas=1)


def _least_load(
    scenario: Scenario, *, perfect_prefix: bool, free_resume: bool
) -> tuple[Shares, list[Outcome]]:
    requests = scenario.traffic.requests
    in_records = use_compiled(len(requests) * scenario.replicas)
    entry = entry_of(in_records=in_records)
    states = [
        state_of(
            scenario, perfect_prefix=perfect_prefix, free_resume=free_resume, in_records=in_records
        )
        for _ in range(scenario.replicas)
    ]
    shares: Shares = [[] for _ in states]
    for place, request in enumerate(requests):
        for state in states:
            entry.advance(state, request.arrival_s)
        load = [_unfinished(state, request.arrival_s) for state in states]
        home = load.index(min(load))
        entry.enqueue(states[home], place)
        shares[home].append(place)
    for state in states:
        entry.advance(state, math.inf)
    outcomes = [
        outcome_of(state, scenario, share) for state, share in zip(states, shares, strict=True)
    ]
    return shares, outcomes


def _unfinished(state: State, at_s: float) -> int:
    """Requests of a replica that has taken all steps begun before `at_s`, as of then."""
    machine = machine_now(state)
    return machine.outstanding + (machine.ended if machine.ended_s > at_s else 0)


def _together(
    traffic: Traffic, shares: Shares, outcomes: Sequence[Outcome], idle_s: float
) -> Outcome:
    """The outcomes of the replicas as one: seconds and tokens add up, requests keep their order."""
    several = [
        [place for place in share if traffic.requests[place].output_tokens > 1] for share in shares
    ]
    terms: dict[str, float] = {}
    for outcome in outcomes:
        for term, seconds in outcome.busy_terms_s.items():
            terms[term] = terms.get(term, 0.0) + seconds
    sums = {name: sum(getattr(each, name) for each in outcomes) for name in SUMMED}
    sums["demand_idle_s"] += idle_s
    sums["window_s"] += idle_s
    return Outcome(
        **sums,
        kv=_kv_together(outcomes),
        ttft_s=_in_order(shares, [each.ttft_s for each in outcomes]),
        e2e_s=_in_order(shares, [each.e2e_s for each in outcomes]),
        tpot_s=_in_order(several, [each.tpot_s for each in outcomes]),
        longest_gap_s=_in_order(several, [each.longest_gap_s for each in outcomes]),
        gaps=pooled([each.gaps for each in outcomes]),
        busy_terms_s=terms,
    )


SUMMED = (
    "prompt_tokens",
    "output_tokens",
    "requests",
    "steps",
    "window_s",
    "busy_s",
    "prefill_s",
    "decode_s",
    "queue_idle_s",
    "demand_idle_s",
    "padded_prefill_tokens",
    "padded_decode_rows",
    "duplicate_prefill_tokens",
    "mixed_s",
    "recompute_s",
)


def _in_order(shares: Shares, parts: Sequence[Sequence[float]]) -> tuple[float, ...]:
    placed = [
        pair
        for share, values in zip(shares, parts, strict=True)
        for pair in zip(share, values, strict=True)
    ]
    return tuple(value for _, value in sorted(placed))


def _kv_together(outcomes: Sequence[Outcome]) -> KvOutcome:
    """Peaks are those of the worst replica; shares are weighted by prompt tokens or busy time."""
    prompts = sum(each.prompt_tokens for each in outcomes)
    busy = math.fsum(each.busy_s for each in outcomes)
    hits = math.fsum(each.kv.prefix_hit_share * each.prompt_tokens for each in outcomes)
    waste = math.fsum(each.kv.waste_share * each.busy_s for each in outcomes)
    return KvOutcome(
        usage_peak_share=max((each.kv.usage_peak_share for each in outcomes), default=0.0),
        waste_share=waste / busy if busy else 0.0,
        preemptions=sum(each.kv.preemptions for each in outcomes),
        recomputed_tokens=sum(each.kv.recomputed_tokens for each in outcomes),
        prefix_hit_share=hits / prompts if prompts else 0.0,
        max_concurrency=max((each.kv.max_concurrency for each in outcomes), default=0),
    )

"""How much one replica serves under its SLO, found by trying it out in the what-if engine.

1. Closed loop: ever more sequences side by side until a latency limit, the memory or the engine's
   own limit ends it. The rate is taken between two windows that differ in length alone, so that
   filling and draining cancel.
2. Each phase by itself at that load gives μp and μd; what both together take longer is θ.
3. Open loop: Poisson arrivals at ever higher shares of that rate; the largest share that still
   keeps the SLO is u. A queue needs this slack, however fast the replica is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import mean, percentile
from costaudit.pricing.capacity import Capacity
from costaudit.pricing.prefix import Hits, hits_of
from costaudit.pricing.requests import arriving, sample_requests, with_hits
from costaudit.target.load import StepLoad
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.traffic.demand import Demand
    from costaudit.traffic.traffic import Request
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario

SLO_SHARE = 0.95  # of requests that keep the limit
MOST_UTILIZATION = 0.95  # no plan fills a fleet to the brim
USUAL_UTILIZATION = 0.75  # where no SLO says what a queue may cost
FEW = 100  # requests of the shorter window, beside twice those side by side
MORE = 400
NEAR_FULL = 0.98  # of the KV memory
UTILIZATION_STEPS = 6  # halvings: ± 0.8 % of the rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Limits that SLO_SHARE of the requests keep, in seconds; None: no limit."""

    ttft_s: float | None = None
    tpot_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """One concurrency, tried out: rates per second of one replica in the steady state."""

    concurrency: int
    requests_per_s: float
    prompt_per_s: float  # computed, hits left out
    output_per_s: float
    decoding: float  # sequences that decode at a time, on average
    keeps_slo: bool
    outcome: Outcome


def capacity_of(scenario: Scenario, *, slo: Slo, demand: Demand | None = None) -> Capacity:
    """What one replica of the scenario serves of this demand's requests.

    Args:
        scenario: hardware, engine and model; its traffic where there is no demand.
        slo: the limits; without any, the most that the engine yields and a usual slack.
        demand: whose lengths and prefixes rule.

    Raises:
        InconclusiveError: not even one request by itself keeps the SLO.
        UsageError: a knob is below 1.
    """
    count = 2 * scenario.knobs.max_num_seqs * 3 + FEW + MORE
    sample = sample_requests(scenario, demand, count)
    first = _saturated(scenario, sample.requests, slo)
    hits = hits_of(scenario, demand, first.outcome)
    requests = sample.requests
    best = first
    if hits.share is not None:
        requests = with_hits(requests, hits.share)
        best = _saturated(scenario, requests, slo) if hits.share else first
    found = _capacity(scenario, requests, slo, best, hits)
    return replace(found, notes=(*sample.notes, *found.notes))


def _capacity(
    scenario: Scenario, requests: Sequence[Request], slo: Slo, best: _Trial, hits: Hits
) -> Capacity:
    prefill = _prefill_alone(scenario, requests, best.concurrency)
    decode = _decode_alone(scenario, requests, best)
    apart = best.prompt_per_s / prefill + best.output_per_s / decode
    share, said = _utilization(scenario, requests, slo, best)
    cached = best.outcome.kv.prefix_hit_share if hits.share is None else hits.share
    return Capacity(
        prefill_tokens_per_s=prefill,
        decode_tokens_per_s=decode,
        interference=1 / apart,
        utilization_share=share,
        cached_share=cached,
        devices=scenario.devices,
        binding=_binding(scenario, best),
        kv_tokens=scenario.knobs.kv_budget_tokens,
        origin="simulated with this target's step times",
        notes=(*hits.notes, *said),
    )


def _saturated(scenario: Scenario, requests: Sequence[Request], slo: Slo) -> _Trial:
    """The concurrency of the highest rate that keeps the SLO."""
    tried: dict[int, _Trial] = {}

    def trial(concurrency: int) -> _Trial:
        if concurrency not in tried:
            tried[concurrency] = _trial(scenario, requests, slo, concurrency)
        return tried[concurrency]

    most = scenario.knobs.max_num_seqs
    good, bad = 0, most + 1
    step = 1
    while step <= most and trial(step).keeps_slo:
        good, step = step, step * 2
    bad = min(step, bad)
    while bad - good > max(1, good // 16):  # the rate hardly moves within a sixteenth
        middle = (good + bad) // 2
        good, bad = (middle, bad) if trial(middle).keeps_slo else (good, middle)
    keeping = [t for t in tried.values() if t.keeps_slo]
    if not keeping:
        alone = trial(1).outcome
        raise InconclusiveError(
            "one replica cannot keep the SLO even for one request at a time: TTFT p95 "
            f"{percentile(alone.ttft_s, SLO_SHARE):.3g} s, time per output token "
            f"{percentile(alone.tpot_s or (0.0,), SLO_SHARE):.3g} s",
            hint="loosen the SLO of the workload, or give other limits",
        )
    return max(keeping, key=lambda t: (t.requests_per_s, -t.concurrency))


def _trial(scenario: Scenario, requests: Sequence[Request], slo: Slo, concurrency: int) -> _Trial:
    few = 2 * concurrency + FEW
    short = _closed(scenario, requests[:few], concurrency)
    long = _closed(scenario, requests[: few + max(4 * concurrency, MORE)], concurrency)
    steady_s = long.window_s - short.window_s
    computed = _computed(long) - _computed(short)
    output = long.output_tokens - short.output_tokens
    later = output - (long.requests - short.requests)  # tokens after each first one
    return _Trial(
        concurrency=concurrency,
        requests_per_s=(long.requests - short.requests) / steady_s,
        prompt_per_s=computed / steady_s,
        output_per_s=output / steady_s,
        decoding=mean(long.tpot_s) * later / steady_s if long.tpot_s else 0.0,
        keeps_slo=_keeps(long, slo, skip=concurrency),
        outcome=long,
    )


def _computed(outcome: Outcome) -> float:
    return outcome.prompt_tokens * (1 - outcome.kv.prefix_hit_share)


def _closed(scenario: Scenario, requests: Sequence[Request], concurrency: int) -> Outcome:
    traffic = replace(
        scenario.traffic, requests=tuple(requests), concurrency=concurrency, window_s=None
    )
    return simulate(replace(scenario, traffic=traffic))


def _keeps(outcome: Outcome, slo: Slo, *, skip: int) -> bool:
    """Do the requests keep the limits, those left out that found an empty replica?"""
    limits = ((outcome.ttft_s[skip:], slo.ttft_s), (outcome.tpot_s[skip:], slo.tpot_s))
    return all(
        limit is None or not times or percentile(times, SLO_SHARE) <= limit
        for times, limit in limits
    )


def _prefill_alone(scenario: Scenario, requests: Sequence[Request], concurrency: int) -> float:
    """μp: the same prompts with one output token each, at the same concurrency."""
    cut = [replace(request, output_tokens=1) for request in requests]
    no_limit = Slo()
    return _trial(scenario, cut, no_limit, concurrency).prompt_per_s


def _decode_alone(scenario: Scenario, requests: Sequence[Request], best: _Trial) -> float:
    """μd: steps of as many sequences as decode at a time, half-way through their answers."""
    tokens = sum(r.output_tokens for r in requests)
    context = sum((r.prompt_tokens + r.output_tokens / 2) * r.output_tokens for r in requests)
    seqs = max(best.decoding, 1.0)
    rows = max(round(seqs), 1)
    load = StepLoad(decode_seqs=rows, decode_context_tokens=round(rows * context / tokens))
    return rows / scenario.step_time.seconds(load)


def _utilization(
    scenario: Scenario, requests: Sequence[Request], slo: Slo, best: _Trial
) -> tuple[float, tuple[str, ...]]:
    """The share u by halving, and what is to be said of it.

    Raises:
        InconclusiveError: arrivals break the SLO at any rate.
    """
    if slo.ttft_s is None and slo.tpot_s is None:
        said = f"no SLO is declared: a slack of {1 - USUAL_UTILIZATION:.2f} is assumed"
        return USUAL_UTILIZATION, (said,)
    if _arrivals_keep(scenario, requests, slo, best, MOST_UTILIZATION):
        return MOST_UTILIZATION, ()
    good, bad = 0.0, MOST_UTILIZATION
    for _ in range(UTILIZATION_STEPS):
        middle = (good + bad) / 2
        keeps = _arrivals_keep(scenario, requests, slo, best, middle)
        good, bad = (middle, bad) if keeps else (good, middle)
    if not good:
        raise InconclusiveError(
            "random arrivals break the SLO at any load of one replica",
            hint="loosen the SLO, or let the engine batch continuously",
        )
    return good, ()


def _arrivals_keep(
    scenario: Scenario, requests: Sequence[Request], slo: Slo, best: _Trial, share: float
) -> bool:
    arrived = arriving(requests, share * best.requests_per_s)
    traffic = replace(scenario.traffic, requests=arrived, concurrency=None, window_s=None)
    return _keeps(simulate(replace(scenario, traffic=traffic)), slo, skip=best.concurrency)


def _binding(scenario: Scenario, best: _Trial) -> str:
    if best.outcome.kv.preemptions or best.outcome.kv.usage_peak_share >= NEAR_FULL:
        return "memory"
    if best.concurrency >= scenario.knobs.max_num_seqs:
        return "sequences"
    return "latency"

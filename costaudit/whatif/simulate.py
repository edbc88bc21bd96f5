"""Simulation of a serving situation: requests in, tokens, latencies and device-seconds out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.whatif.continuous import run_continuous
from costaudit.whatif.kv_pool import pool_of
from costaudit.whatif.ledger import Ledger
from costaudit.whatif.line import final_tokens
from costaudit.whatif.scenario import Batching
from costaudit.whatif.static_batching import run_static

if TYPE_CHECKING:
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """Wastes of the scheduling that a counterfactual replay leaves out.

    `padding`: the same requests under continuous batching at the same `max_num_seqs` and memory
    and without a token budget, which a static batch does not know; what that removes is what
    padding to a batch costs. `duplicate_prefill`: no shared prefix is
    computed twice. `preemption`: a preempted sequence comes back with its cache.
    """

    padding: bool = False
    duplicate_prefill: bool = False
    preemption: bool = False


NOTHING_RELIEVED = Relief()


def simulate(scenario: Scenario, relief: Relief = NOTHING_RELIEVED) -> Outcome:
    """What happens in this scenario, on one replica, in seconds and tokens.

    Raises:
        UsageError: a knob or a length is below 1, so that nothing could ever run.
        InconclusiveError: a request needs more KV memory than there is.
    """
    if relief.padding:
        scenario = _unpadded(scenario)
    _check_numbers(scenario)
    _check_memory(scenario)
    knobs, traffic = scenario.knobs, scenario.traffic
    ledger = Ledger(block_tokens=knobs.kv_block_tokens)
    match knobs.batching:
        case Batching.STATIC:
            end_s = run_static(scenario, ledger, perfect_prefix=relief.duplicate_prefill)
        case Batching.CONTINUOUS:
            end_s = run_continuous(
                scenario,
                ledger,
                perfect_prefix=relief.duplicate_prefill,
                free_resume=relief.preemption,
            )
        case _:
            assert_never(knobs.batching)
    if traffic.concurrency is None and traffic.window_s is not None:
        ledger.demand_idle_s += max(traffic.window_s - end_s, 0.0)
    return ledger.outcome()


def _unpadded(scenario: Scenario) -> Scenario:
    """Continuous instead of static batching, prompts whole as a static batch takes them."""
    if scenario.knobs.batching is Batching.CONTINUOUS:
        return scenario
    free = replace(scenario.knobs, batching=Batching.CONTINUOUS, max_num_batched_tokens=None)
    return replace(scenario, knobs=free)


def _check_numbers(scenario: Scenario) -> None:
    knobs, traffic = scenario.knobs, scenario.traffic
    least = {
        "max_num_seqs": knobs.max_num_seqs,
        "kv_block_tokens": knobs.kv_block_tokens,
        "max_num_batched_tokens": knobs.max_num_batched_tokens,
        "concurrency": traffic.concurrency,
        "prompt_tokens": min((r.prompt_tokens for r in traffic.requests), default=None),
    }
    for name, value in least.items():
        if value is not None and value < 1:
            raise UsageError(
                f"{name} = {value}: nothing can run with that",
                hint="it must be at least 1",
            )


def _check_memory(scenario: Scenario) -> None:
    pool = pool_of(scenario)
    longest = max((final_tokens(r) for r in scenario.traffic.requests), default=0)
    if pool.blocks(longest) > pool.total:
        raise InconclusiveError(
            f"a request of {longest} tokens does not fit into KV memory for"
            f" {scenario.knobs.kv_budget_tokens} tokens ({scenario.knobs.kv_layout} layout)",
            hint="shorten the workload's prompts and outputs, or give the KV cache more memory",
        )

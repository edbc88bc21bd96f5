"""Simulation of a serving situation: requests in, tokens, latencies and device-seconds out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.whatif.replicas import run_replicas
from costaudit.whatif.scenario import Batching
from costaudit.whatif.schedule import machine_of
from costaudit.whatif.serving import run
from costaudit.whatif.sharing import columns_of

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
    """What happens in this scenario, in seconds of a replica (of all of them) and tokens.

    Raises:
        UsageError: a knob or a length is below 1, so that nothing could ever run.
        InconclusiveError: a request needs more KV memory than there is, or a larger step.
    """
    if relief.padding:
        scenario = _unpadded(scenario)
    _check_numbers(scenario)
    _check_memory(scenario)
    if scenario.replicas > 1:
        return run_replicas(
            scenario,
            lambda part: _serve(part, relief),
            perfect_prefix=relief.duplicate_prefill,
            free_resume=relief.preemption,
        )
    outcome, traffic = _serve(scenario, relief), scenario.traffic
    if traffic.concurrency is not None or traffic.window_s is None:
        return outcome
    idle_s = max(traffic.window_s - outcome.window_s, 0.0)
    return replace(
        outcome,
        demand_idle_s=outcome.demand_idle_s + idle_s,
        window_s=outcome.window_s + idle_s,
    )


def _serve(scenario: Scenario, relief: Relief) -> Outcome:
    """One replica, until its last request is done."""
    return run(scenario, perfect_prefix=relief.duplicate_prefill, free_resume=relief.preemption)


def _unpadded(scenario: Scenario) -> Scenario:
    """Continuous instead of static batching, prompts whole as a static batch takes them."""
    if scenario.knobs.batching is Batching.CONTINUOUS:
        return scenario
    free = replace(scenario.knobs, batching=Batching.CONTINUOUS, max_num_batched_tokens=None)
    return replace(scenario, knobs=free)


def _check_numbers(scenario: Scenario) -> None:
    knobs, traffic, drafts = scenario.knobs, scenario.traffic, scenario.knobs.speculation
    least = {
        "max_num_seqs": knobs.max_num_seqs,
        "kv_block_tokens": knobs.kv_block_tokens,
        "max_num_batched_tokens": knobs.max_num_batched_tokens,
        "concurrency": traffic.concurrency,
        "hash_block_tokens": traffic.hash_block_tokens,
        "replicas": scenario.replicas,
        "draft_tokens": drafts.draft_tokens if drafts else None,
    }
    for name, value in least.items():
        if value is not None and value < 1:
            raise _impossible(name, value)
    shares = {"kv_watermark_share": knobs.kv_watermark_share}
    if drafts:
        shares["accepted_share"] = drafts.accepted_share
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise UsageError(f"{name} = {share}: a share is from 0 to 1", hint="90 % is 0.9")
    shortest = columns_of(traffic, knobs.kv_block_tokens).shortest_tokens
    if shortest is not None and shortest < 1:
        raise _impossible("prompt_tokens", shortest)


def _impossible(name: str, value: int) -> UsageError:
    return UsageError(f"{name} = {value}: nothing can run with that", hint="it must be at least 1")


def _check_memory(scenario: Scenario) -> None:
    machine = machine_of(scenario)
    columns = columns_of(scenario.traffic, scenario.knobs.kv_block_tokens)
    longest = columns.longest_tokens or 0
    if -(-(longest + machine.width - 1) // machine.block_tokens) > machine.total_blocks:
        raise InconclusiveError(
            f"a request of {longest} tokens does not fit into KV memory for"
            f" {scenario.knobs.kv_budget_tokens} tokens ({scenario.knobs.kv_layout} layout)",
            hint="shorten the workload's prompts and outputs, or give the KV cache more memory",
        )

"""How many sequences a scheduler may run together, by what the KV memory holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from costaudit.ground.stats import mean
from costaudit.whatif.scenario import KvLayout

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Knobs, Scenario


def demand(scenario: Scenario) -> int:
    """The most sequences that could ever run together.

    A closed load never has more than its concurrency; of an open one only the number of
    requests is a sure bound.
    """
    requests = len(scenario.traffic.requests)
    return min(requests, scenario.traffic.concurrency or requests)


def tokens_per_sequence(scenario: Scenario, layout: KvLayout) -> float:
    """KV tokens that one sequence takes from the pool at its end, mean over the traffic.

    A static cache reserves the maximum length. A dynamic one is padded to its batch's longest
    sequence, here the longest of the traffic. Blocks waste half a block at the end on average,
    (block - 1) / 2 tokens, and are never worse than padding.
    """
    lengths = [r.prompt_tokens + r.output_tokens for r in scenario.traffic.requests] or [1]
    longest = float(max(lengths))
    match layout:
        case KvLayout.STATIC:
            reserved = scenario.knobs.max_model_len or scenario.shape.max_context_tokens
            return max(float(reserved), longest)
        case KvLayout.DYNAMIC:
            return longest
        case KvLayout.PAGED:
            return min(longest, mean(lengths) + (scenario.knobs.kv_block_tokens - 1) / 2)
        case _:
            assert_never(layout)


def fitting(scenario: Scenario) -> int:
    """Sequences that the KV memory holds in the scenario's layout; 0 where its size is unknown."""
    knobs = scenario.knobs
    return int(knobs.kv_budget_tokens / tokens_per_sequence(scenario, knobs.kv_layout))


def memory_binds(scenario: Scenario) -> bool:
    """Whether KV memory, not the scheduler's cap or the demand, ends the growth of the batch."""
    if scenario.knobs.kv_budget_tokens <= 0:
        return False
    held = fitting(scenario)
    return held <= scenario.knobs.max_num_seqs and held < demand(scenario)


def with_kv(scenario: Scenario, knobs: Knobs) -> Scenario:
    """The scenario under `knobs` whose KV memory holds more sequences; see `with_room`."""
    return with_room(scenario, replace(scenario, knobs=knobs))


def with_room(scenario: Scenario, changed: Scenario) -> Scenario:
    """The changed scenario, whose KV memory holds more sequences, with a cap that follows.

    Where memory set the size of the batch before, the scheduler's cap follows what fits now, up
    to the demand; a cap chosen for another reason (an SLO) stays. Two such changes give the same
    in either order.
    """
    if not memory_binds(scenario):
        return changed
    knobs = changed.knobs
    cap = max(knobs.max_num_seqs, min(fitting(changed), demand(changed)))
    return replace(changed, knobs=replace(knobs, max_num_seqs=cap))

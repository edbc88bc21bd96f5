"""The memory of a replica's devices: weights, and what is left of it for the KV cache."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.admission import with_kv
from costaudit.target import work

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

WEIGHT_BYTES = 2.0  # weights count at 16 bits, whatever they were quantized to: the cautious side


def weights_bytes(scenario: Scenario) -> float:
    """Bytes that one replica's weights take, at 16 bits."""
    return work.total_params(scenario.shape) * WEIGHT_BYTES


def used_bytes(scenario: Scenario) -> float:
    """Bytes of weights and KV pool together, over all devices of a replica."""
    knobs, step_time = scenario.knobs, scenario.step_time
    token = work.kv_bytes_per_token(scenario.shape, step_time.kv_element_bytes)
    return weights_bytes(scenario) + knobs.kv_budget_tokens * token


def pool_tokens(scenario: Scenario, memory_bytes: float) -> int:
    """Tokens that the pool holds where weights and pool share so many bytes; 0: none fits."""
    token = work.kv_bytes_per_token(scenario.shape, scenario.step_time.kv_element_bytes)
    return max(0, int((memory_bytes - weights_bytes(scenario)) / token))


def with_memory(scenario: Scenario, factor: float) -> Scenario:
    """`factor` times the memory for weights and pool; the weights stay, the pool takes the rest.

    Where the model's shape is not known, the pool is taken to grow by the same factor, which is
    less than it would.
    """
    knobs = scenario.knobs
    if scenario.step_time.free:
        room = int(knobs.kv_budget_tokens * factor)
    else:
        room = pool_tokens(scenario, used_bytes(scenario) * factor)
    return with_kv(scenario, replace(knobs, kv_budget_tokens=room))

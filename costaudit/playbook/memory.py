"""The memory of a replica's devices: weights, and what is left of it for the KV cache."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.admission import with_kv, with_room
from costaudit.target import work

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

TABLE_BYTES = 2.0  # embedding and output head stay at 16 bits when the layers are quantized


def weights_bytes(scenario: Scenario) -> float:
    """Bytes that one replica's weights take.

    The mean bytes of a weight that a step reads count for the layers, though the head is in that
    mean: of quantized weights this is somewhat too much, the cautious side.
    """
    shape, each = scenario.shape, scenario.step_time.param_bytes
    tables = (1 if shape.tied_embeddings else 2) * shape.vocab * shape.hidden
    layers = max(work.total_params(shape) - tables, 0)
    return layers * each + tables * max(each, TABLE_BYTES)


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


def with_freed_weights(scenario: Scenario, lighter: Scenario) -> Scenario:
    """The scenario under lighter weights, whose KV pool takes the memory that they leave.

    On a GPU engines fill what the weights leave with the pool; a CPU's pool has a size of its own.
    """
    knobs = lighter.knobs
    if scenario.device_kind == "cpu" or scenario.step_time.free:
        return lighter
    freed = weights_bytes(scenario) - weights_bytes(lighter)
    token = work.kv_bytes_per_token(lighter.shape, lighter.step_time.kv_element_bytes)
    larger = replace(knobs, kv_budget_tokens=knobs.kv_budget_tokens + int(max(freed, 0.0) / token))
    return with_room(scenario, replace(lighter, knobs=larger))

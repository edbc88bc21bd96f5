"""KV pool size: give the cache the device memory that lies idle.

Why it costs      The pool decides how many sequences run together and how long a prefix stays
                  cached. Memory that nobody uses costs the same as memory that holds tokens.
When it helps     Sequences are preempted, or wait while the pool is full; prefix hits are lost to
                  eviction. The device has memory left beside weights and activations.
When it does not  The pool is never full. Other processes share the device. The share is at 0.95
                  already: what is left belongs to activations and graphs.
Risk              Out of memory at the longest prompt that was not tried before: test the longest
                  prompts at full concurrency. On a CPU host, memory taken from the page cache.
Verify            Tokens of KV capacity rise, preemptions fall to zero, no allocation fails.
Sources           vLLM documentation, "Optimization and Tuning", 2025 (preemption: raise
                  gpu_memory_utilization first). vLLM issues 23444 and 18115. Defaults: 0.9, from
                  0.20.0 on 0.92 of the device's memory. The saving here is replayed on this
                  target's own step times with the larger pool.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.admission import memory_binds, with_kv
from costaudit.playbook.evidence import (
    SERVER,
    count,
    knob,
    pressed,
    share,
    tokens,
    unknown_pool,
    untold_knob,
)
from costaudit.playbook.memory import used_bytes, with_memory
from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
)

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

MOST_SHARE = 0.95  # of the device's memory; the rest is for activations and graphs
DEFAULT_SHARE = {Edge.LOW: 0.92, Edge.HIGH: 0.90}  # where it stands today, by version
HOST_FACTOR = 2.0  # on a CPU the pool is a number of bytes that somebody set
NEARLY_FULL = 0.9  # peak use of the pool from which more of it may help
HOST_ROOM_SHARE = 0.8  # of the host's memory that weights and pool may take


def assess(situation: Situation) -> Applicability:
    """The pool is full while device memory is not."""
    scenario, kv = situation.scenario, situation.outcome.kv
    if situation.metrics.target.kind != SERVER:
        return DoesNotApply(
            why="in this process the cache takes memory as it grows: no pool is set"
        )
    if blind := unknown_pool(situation):
        return blind
    if not memory_binds(scenario) and not kv.preemptions and kv.usage_peak_share < NEARLY_FULL:
        used = f"at its peak {kv.usage_peak_share:.2f} of the pool was in use: it is not short"
        return DoesNotApply(why=used + _where_it_ends(situation))
    if no := _no_room(situation):
        return no
    return Applies(
        evidence=(
            share("KV memory in use at its peak", kv.usage_peak_share),
            count("preemptions for lack of KV memory", kv.preemptions),
            tokens("the pool holds now", scenario.knobs.kv_budget_tokens, "facts: kv capacity"),
            tokens(
                "it would hold",
                change(scenario, Edge.LOW).knobs.kv_budget_tokens,
                "model of the device's memory",
            ),
            *pressed(situation),
        )
    )


def _where_it_ends(situation: Situation) -> str:
    ramp = situation.metrics.kv.pressure
    full = None if ramp is None else ramp.full_streams
    return f"; blocks run out from {full} streams on" if full else ""


def _no_room(situation: Situation) -> Applicability | None:
    """The answer where there is no more memory, or nobody knows whether there is."""
    scenario = situation.scenario
    if scenario.device_kind == "cuda":
        part = knob(situation, "gpu_memory_utilization")
        if part is not None and float(part) >= MOST_SHARE:
            return DoesNotApply(why=f"the pool has {float(part):g} of the memory already")
        return untold_knob(situation, "gpu_memory_utilization")
    if scenario.device_kind != "cpu":
        return CannotTell(because="the kind of device is unknown, so the rest of its memory is")
    memory = situation.metrics.device.memory_bytes
    if memory is None or scenario.step_time.free:
        return CannotTell(because="how much memory the host has beside weights and pool is unknown")
    if used_bytes(change(scenario, Edge.LOW)) > HOST_ROOM_SHARE * memory:
        return DoesNotApply(why="the host's memory has no room for twice the pool")
    return None


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Up to 0.95 of the device's memory from the usual share; on a CPU twice the pool."""
    if scenario.device_kind == "cpu":
        room = int(scenario.knobs.kv_budget_tokens * HOST_FACTOR)
        return with_kv(scenario, replace(scenario.knobs, kv_budget_tokens=room))
    return with_memory(scenario, MOST_SHARE / DEFAULT_SHARE[edge])


STEP = Step(
    id="kv-pool-size",
    title="Give the KV cache the idle memory",
    category="memory",
    effort=Effort.FLAG,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    snippets={
        "vllm": (
            "vllm serve MODEL --gpu-memory-utilization 0.95\n"
            "# or in bytes, also on a CPU:\n"
            "vllm serve MODEL --kv-cache-memory-bytes 16G"
        ),
        "sglang": "python -m sglang.launch_server --model-path MODEL --mem-fraction-static 0.9",
        "tgi": "text-generation-launcher --model-id MODEL --cuda-memory-fraction 0.95",
        "trtllm-serve": "trtllm-serve MODEL --kv_cache_free_gpu_memory_fraction 0.95",
        "triton": (
            "# config.pbtxt of the TensorRT-LLM backend\n"
            'parameters: { key: "kv_cache_free_gpu_mem_fraction" value: { string_value: "0.95" } }'
        ),
        "llamacpp": "# the context of all slots together\nllama-server -m MODEL.gguf -c 131072",
        "lmdeploy": "lmdeploy serve api_server MODEL --cache-max-entry-count 0.9",
    },
)

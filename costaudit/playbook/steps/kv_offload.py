"""KV offload: keep cached openings in host memory instead of dropping them.

Why it costs      The device's pool holds the openings of a few minutes. What was evicted is
                  computed again when its conversation goes on, although reading it back over PCIe
                  is faster.
When it helps     Prefix caching is on, openings come again, but later than the pool can keep them:
                  far fewer prompt tokens are found than repeat.
When it does not  The pool keeps what repeats; prompts share nothing; short openings, which are
                  computed as fast as they are copied; a host without free memory.
Risk              Copies compete with other traffic on PCIe; pinned host memory is gone for others.
                  Time to first token rises for hits that were faster to compute.
Verify            Cached over prompt tokens rises towards the repeated share; time to first token of
                  returning conversations falls; the offload's loads stay above zero.
Sources           Qin et al., "Mooncake: A KVCache-centric Disaggregated Architecture for LLM
                  Serving", FAST 2025 (hit rate by cache size). Gao et al., "Cost-Efficient Large
                  Language Model Serving for Multi-turn Conversations with CachedAttention", USENIX
                  ATC 2024 (prefill up to 7.8 times faster). The simulation has no second tier of
                  memory: the effect is literature, 2 to 50 % of prefill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    LENGTHS,
    is_on,
    share,
    untold_knob,
)
from costaudit.playbook.sharing import repeated_share
from costaudit.playbook.slowdown import with_seconds
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

PREFILL_LEFT = {Edge.LOW: 0.98, Edge.HIGH: 0.5}  # of the seconds of prefill
PREFILL_COLUMNS = ("prefill_compute", "prefill_attention")
MIN_LOST_SHARE = 0.1  # of prompt tokens: repeated, and not found


def assess(situation: Situation) -> Applicability:
    """Openings that come again and are not found any more."""
    scenario = situation.scenario
    if blind := untold_knob(situation, "prefix_caching"):
        return blind
    if is_on(situation, "kv_offloading_size"):
        return DoesNotApply(why="evicted blocks are kept in host memory already")
    if not scenario.knobs.prefix_caching:
        return DoesNotApply(why="no prefix cache is on whose evictions could be kept")
    if why := situation.metrics.unknown.get("workload.prefix_share"):
        return CannotTell(because=f"whether prompts share their openings is unknown: {why}")
    repeated = repeated_share(scenario.traffic, scenario.knobs.kv_block_tokens)
    hits = situation.outcome.kv.prefix_hit_share
    if repeated - hits < MIN_LOST_SHARE:
        return DoesNotApply(
            why=f"{repeated:.2f} of the prompt tokens repeat and {hits:.2f} are found: little is"
            " lost to eviction"
        )
    return Applies(
        evidence=(
            share("prompt tokens in blocks seen before", repeated, LENGTHS),
            share("prompt tokens found in the cache", hits),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Less prefill, by literature: there is no second tier of memory in the simulation."""
    return with_seconds(scenario, PREFILL_LEFT[edge], PREFILL_COLUMNS)


STEP = Step(
    id="kv-offload",
    title="Keep evicted blocks in host memory",
    category="prefill",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    snippets={
        "vllm": "vllm serve MODEL --kv-offloading-size 64 --kv-offloading-backend native",
        "sglang": (
            "python -m sglang.launch_server --model-path MODEL "
            "--enable-hierarchical-cache --hicache-ratio 2"
        ),
        "trtllm-serve": (
            "# extra.yaml: kv_cache_config: {host_cache_size: 45000000000}\n"
            "trtllm-serve MODEL --extra_llm_api_options extra.yaml"
        ),
        "triton": (
            "# config.pbtxt of the TensorRT-LLM backend\n"
            'parameters: { key: "kv_cache_host_memory_bytes" '
            'value: { string_value: "45000000000" } }'
        ),
        "llamacpp": "llama-server -m MODEL.gguf --cache-ram 65536",
    },
)

"""Paged KV cache: give out cache memory in blocks, as it is written.

Why it costs      A static cache reserves the longest allowed sequence for every request, a dynamic
                  one pads every row to the longest of its batch. The memory that is never written
                  holds no requests, so the batch stays small and each step's weights are read for
                  few tokens.
When it helps     KV memory, not the scheduler's cap, ends the growth of the batch; lengths differ;
                  the allowed length is far above the usual one.
                  Blocks are also what a prefix cache shares, so it comes before that step.
When it does not  Memory holds the whole demand already; the cap was set for a latency SLO; all
                  sequences have one length. Paging alone makes no step faster.
Risk              A fuller batch makes each token slower: hold the cap (max_num_seqs) where the SLO
                  ends. Requests admitted by their present length can be preempted later and
                  recomputed. Attention kernels over blocks were 20 to 26 % slower when first built.
Verify            Sequences running together rise, preemptions stay near zero, waste of the cache
                  falls to the last blocks' tails.
Sources           Kwon et al., "Efficient Memory Management for Large Language Model Serving with
                  PagedAttention", SOSP 2023 (20.4 to 38.2 % of KV memory held tokens before, about
                  96 % with blocks; 2 to 4 times the throughput at equal latency; attention kernel
                  20 to 26 % slower; blocks of 16 tokens). The saving here is replayed on this
                  target's own step times.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.admission import demand, fitting, memory_binds, with_kv
from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Evidence,
    Risk,
    Situation,
    Step,
    unknown_knob,
)
from costaudit.whatif.scenario import KvLayout, Scenario

BLOCK_TOKENS = 16  # vLLM's default; found best by its paper, SOSP 2023


def assess(situation: Situation) -> Applicability:
    """The cache reserves what it never writes, and that is what keeps the batch small."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "kv_layout"):
        return blind
    if scenario.knobs.kv_layout is KvLayout.PAGED:
        return DoesNotApply(why="the cache is given out in blocks already")
    if scenario.knobs.kv_budget_tokens <= 0:
        why = situation.metrics.unknown.get("kv_cache.capacity_tokens", "it was not measured")
        return CannotTell(because=f"how many tokens the KV memory holds is unknown: {why}")
    shares = any(r.prefix_id is not None for r in scenario.traffic.requests)
    if not memory_binds(scenario) and not shares:
        return DoesNotApply(
            why=f"KV memory holds {fitting(scenario)} sequences as it is, "
            f"{demand(scenario)} are wanted and {scenario.knobs.max_num_seqs} are admitted: "
            "memory does not limit the batch, and no prompts share blocks"
        )
    return Applies(evidence=_evidence(situation))


def _evidence(situation: Situation) -> tuple[Evidence, ...]:
    scenario = situation.scenario
    paged = change(scenario, Edge.LOW)
    memory = "facts: kv capacity; requests: lengths"
    return (
        Evidence(
            what="KV memory reserved but never written",
            value=situation.outcome.kv.waste_share,
            unit="share",
            where="simulation of the replayed requests",
        ),
        Evidence(
            what="sequences that fit now", value=fitting(scenario), unit="count", where=memory
        ),
        Evidence(
            what="sequences that fit in blocks",
            value=fitting(paged),
            unit="count",
            where=memory,
        ),
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Blocks of 16 tokens on demand; the cap rises to what then fits if memory set it."""
    del edge
    if scenario.knobs.kv_layout is KvLayout.PAGED:
        return scenario
    paged = replace(scenario.knobs, kv_layout=KvLayout.PAGED, kv_block_tokens=BLOCK_TOKENS)
    return with_kv(scenario, paged)


STEP = Step(
    id="paged-kv-cache",
    title="Page the KV cache",
    category="memory",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    snippets={
        "transformers": (
            "# continuous batching of transformers 5 pages its cache:\n"
            "from transformers import ContinuousBatchingConfig\n"
            "model.generate_batch(list_of_token_ids, generation_config=config,\n"
            "    continuous_batching_config=ContinuousBatchingConfig(page_size=16))"
        ),
        "vllm": "# always on; raise the cap to what fits\nvllm serve MODEL --max-num-seqs N",
        "sglang": (
            "# always on; the cap and the page can be set\n"
            "python -m sglang.launch_server --model-path MODEL "
            "--max-running-requests N --page-size 16"
        ),
        "tgi": "# always on with flash attention\ntext-generation-launcher --model-id MODEL",
        "trtllm-serve": (
            "# always on; share of free memory for the blocks\n"
            "trtllm-serve MODEL --max_batch_size N --kv_cache_free_gpu_memory_fraction 0.9"
        ),
        "triton": (
            "# config.pbtxt of the TensorRT-LLM backend\n"
            'parameters: { key: "kv_cache_free_gpu_mem_fraction" value: { string_value: "0.9" } }'
        ),
        "llamacpp": (
            "# not paged; one buffer for all slots comes nearest\n"
            "llama-server -m MODEL.gguf -np 8 -c 32768 --kv-unified"
        ),
    },
)

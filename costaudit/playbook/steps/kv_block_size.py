"""KV block size: hand out the cache in smaller blocks.

Why it costs      A sequence wastes half a block at its end on average, and only whole blocks of a
                  shared opening can be found again.
When it helps     Blocks of hundreds of tokens (hybrid models, some backends), short sequences,
                  shared openings that end inside a block.
When it does not  Blocks of 16 tokens already; long sequences, where half a block is nothing; a
                  kernel that supports no smaller block.
Risk              Little: more block-table entries to look up. The engine may refuse a size that its
                  attention kernel does not know.
Verify            Waste at the blocks' ends falls, cached prompt tokens rise, time per output token
                  does not.
Sources           Kwon et al., "Efficient Memory Management for Large Language Model Serving with
                  PagedAttention", SOSP 2023 (blocks of 16 best, larger ones waste and share less).
                  vLLM issues 40696 and 45238 (hybrid models with blocks of 528 to 1600 tokens: no
                  prefix hits). The saving here is replayed on this target's own step times.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.admission import memory_binds, with_kv
from costaudit.playbook.evidence import (
    LENGTHS,
    SETTINGS,
    share,
    tokens,
    untold_knob,
)
from costaudit.playbook.sharing import repeated_share
from costaudit.playbook.step import (
    Applicability,
    Applies,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
)
from costaudit.whatif.scenario import KvLayout, Scenario

BLOCK_TOKENS = 16  # vLLM's default; found best by its paper, SOSP 2023
CPU_BLOCK_TOKENS = 32  # the smallest that vLLM's CPU backend takes
MIN_LOST_SHARE = 0.01  # of prompt tokens, or of the pool


def smallest(scenario: Scenario) -> int:
    """Tokens of the smallest sensible block on this device."""
    return CPU_BLOCK_TOKENS if scenario.device_kind == "cpu" else BLOCK_TOKENS


def assess(situation: Situation) -> Applicability:
    """Large blocks keep openings from being found again, or waste a pool that is short."""
    scenario = situation.scenario
    if blind := untold_knob(situation, "kv_block_tokens"):
        return blind
    knobs, least = scenario.knobs, smallest(scenario)
    if knobs.kv_layout is not KvLayout.PAGED:
        return DoesNotApply(why="the cache is not given out in blocks")
    if knobs.kv_block_tokens <= least:
        return DoesNotApply(why=f"blocks of {knobs.kv_block_tokens} tokens are small already")
    tail = _tail_share(scenario, knobs.kv_block_tokens) - _tail_share(scenario, least)
    lost = 0.0
    if knobs.prefix_caching:
        lost = repeated_share(scenario.traffic, least) - repeated_share(
            scenario.traffic, knobs.kv_block_tokens
        )
    if lost < MIN_LOST_SHARE and not (memory_binds(scenario) and tail >= MIN_LOST_SHARE):
        return DoesNotApply(
            why=f"smaller blocks would share {lost:.3f} more of the prompt tokens, and free"
            f" {tail:.3f} of a pool that is not short"
            if not memory_binds(scenario)
            else f"smaller blocks would free only {tail:.3f} of the pool"
        )
    return Applies(
        evidence=(
            tokens("block", knobs.kv_block_tokens, SETTINGS),
            share("prompt tokens that would be found again beside today's", lost, LENGTHS),
            share("pool lost at the ends of sequences beyond small blocks", tail, LENGTHS),
        )
    )


def _tail_share(scenario: Scenario, block: int) -> float:
    """Share of a mean sequence's blocks that its tail wastes: (block - 1) / 2 tokens."""
    traffic = scenario.traffic
    mean = (traffic.prompt_tokens + traffic.output_tokens) / max(1, len(traffic.requests))
    return (block - 1) / 2 / (mean + (block - 1) / 2)


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """The smallest sensible block where the cache is paged; both edges agree."""
    del edge
    knobs, least = scenario.knobs, smallest(scenario)
    if knobs.kv_layout is not KvLayout.PAGED or knobs.kv_block_tokens <= least:
        return scenario
    return with_kv(scenario, replace(knobs, kv_block_tokens=least))


STEP = Step(
    id="kv-block-size",
    title="Use smaller KV blocks",
    category="memory",
    effort=Effort.FLAG,
    risk=Risk.NONE,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    snippets={
        "vllm": "vllm serve MODEL --block-size 16",
        "sglang": "python -m sglang.launch_server --model-path MODEL --page-size 16",
        "trtllm-serve": (
            "# extra.yaml: kv_cache_config: {tokens_per_block: 32}\n"
            "trtllm-serve MODEL --extra_llm_api_options extra.yaml"
        ),
        "lmdeploy": "lmdeploy serve api_server MODEL --cache-block-seq-len 64",
        "transformers": (
            "from transformers import ContinuousBatchingConfig\n"
            "model.generate_batch(list_of_token_ids, generation_config=config,\n"
            "    continuous_batching_config=ContinuousBatchingConfig(page_size=16))"
        ),
    },
)

"""Prefix caching: keep the KV of openings that come again.

Why it costs      Requests that open with the same tokens (system prompt, few-shot header, document,
                  earlier turns) pay for the same prefill each time.
When it helps     Shared openings of more than a block, agents, multi-turn chat, questions about one
                  document; prefill a sizeable part of the bill.
When it does not  Prompts that differ in their first block (a date, a user name or a salt up front);
                  more distinct openings than the memory can keep between two uses; prefill a small
                  part of the bill; hybrid models whose blocks span hundreds of tokens.
Risk              None to the answers. Kept blocks are given up as soon as running requests need
                  them. Tenants can learn from response times whether an opening was seen before:
                  salt the cache per tenant where that matters.
Verify            Cached prompt tokens over prompt tokens approach the shared part, and the median
                  time to first token falls.
Sources           Zheng et al., "SGLang: Efficient Execution of Structured Language Model Programs",
                  NeurIPS 2024 (RadixAttention, up to 6.4 times the throughput). Gim et al., "Prompt
                  Cache: Modular Attention Reuse for Low-Latency Inference", MLSys 2024. Qin et al.,
                  "Mooncake: A KVCache-centric Disaggregated Architecture for LLM Serving", FAST
                  2025 (how far the hit rate depends on the size of the cache). The saving here is
                  replayed on this target's own step times and on its KV memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.sharing import repeated_share
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

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

MIN_REPEATED_SHARE = 0.01  # of prompt tokens; below it the gain is lost in the noise


def assess(situation: Situation) -> Applicability:
    """Openings come again and no cache answers them yet."""
    scenario, outcome = situation.scenario, situation.outcome
    if blind := unknown_knob(situation, "prefix_caching"):
        return blind
    if scenario.knobs.prefix_caching:
        return DoesNotApply(why="the prefix cache is on already")
    if why := situation.metrics.unknown.get("workload.prefix_share"):
        return CannotTell(because=f"whether prompts share their openings is unknown: {why}")
    share = repeated_share(scenario.traffic, scenario.knobs.kv_block_tokens)
    if share < MIN_REPEATED_SHARE:
        return DoesNotApply(
            why=f"only {share:.3f} of the prompt tokens repeat a whole block seen before"
        )
    return Applies(
        evidence=(
            Evidence(
                what="prompt tokens in blocks seen before",
                value=share,
                unit="share",
                where="requests: prefix_id, prefix_tokens",
            ),
            Evidence(
                what="prefill's part of the busy time",
                value=outcome.prefill_s / outcome.busy_s if outcome.busy_s else 0.0,
                unit="share",
                where="simulation of the replayed requests",
            ),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Switch the cache on; the replay evicts as the memory demands, so both edges agree."""
    del edge
    return replace(scenario, knobs=replace(scenario.knobs, prefix_caching=True))


STEP = Step(
    id="prefix-caching",
    title="Cache shared prompt openings",
    category="prefill",
    effort=Effort.FLAG,
    risk=Risk.NONE,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    requires=("paged-kv-cache",),
    snippets={
        "transformers": (
            "# continuous batching shares whole blocks unless told not to:\n"
            "from transformers import ContinuousBatchingConfig\n"
            "model.generate_batch(list_of_token_ids, generation_config=config,\n"
            "    continuous_batching_config=ContinuousBatchingConfig(allow_block_sharing=True))"
        ),
        "vllm": "vllm serve MODEL --enable-prefix-caching",
        "sglang": (
            "# on by default: remove --disable-radix-cache\n"
            "python -m sglang.launch_server --model-path MODEL --schedule-policy lpm"
        ),
        "tgi": "PREFIX_CACHING=1 ATTENTION=flashinfer text-generation-launcher --model-id MODEL",
        "trtllm-serve": (
            "# extra.yaml: kv_cache_config: {enable_block_reuse: true}\n"
            "trtllm-serve MODEL --extra_llm_api_options extra.yaml"
        ),
        "triton": (
            "# config.pbtxt of the TensorRT-LLM backend\n"
            'parameters: { key: "enable_kv_cache_reuse" value: { string_value: "true" } }'
        ),
        "llamacpp": (
            "# each slot keeps its last prompt; this also reuses shifted chunks of 256 tokens\n"
            "llama-server -m MODEL.gguf --cache-reuse 256"
        ),
    },
)

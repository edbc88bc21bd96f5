"""Token budget: let a step compute more prompt tokens beside its decoding rows.

Why it costs      A small budget cuts prompts into many chunks. Every chunk is a step of its own: it
                  pays the overhead, reads all weights and the chunk's context again.
When it helps     Long prompts, prompts that arrive together, throughput that matters more than the
                  smoothness of a stream.
When it does not  All prompts fit the budget already; the SLO bounds inter-token latency tightly: a
                  decoding row waits for the whole step that it shares. Then lower it instead.
Risk              The p99 of inter-token latency grows with the longest step. A larger budget also
                  takes activation memory away from the KV pool.
Verify            Median time to first token falls, steps get fewer; the p95 of inter-token latency
                  stays within the SLO.
Sources           Agrawal et al., "Taming Throughput-Latency Tradeoff in LLM Inference with
                  Sarathi-Serve", OSDI 2024 (the chunk as large as inter-token latency allows). vLLM
                  documentation, "Optimization and Tuning" (2025: above 8192 tokens for throughput,
                  2048 for latency). The saving here is replayed on this target's own step times.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.admission import demand
from costaudit.playbook.evidence import (
    SETTINGS,
    share,
    tokens,
    untold_knob,
)
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
from costaudit.whatif.scenario import Batching, Scenario

BUDGET_TOKENS = 8192  # vLLM's documentation: more than this for throughput on large devices


def assess(situation: Situation) -> Applicability:
    """Prompts do not fit into a step as they come."""
    scenario = situation.scenario
    if blind := untold_knob(situation, "max_num_batched_tokens"):
        return blind
    budget, traffic = scenario.knobs.max_num_batched_tokens, scenario.traffic
    if scenario.knobs.batching is Batching.STATIC or budget is None:
        return DoesNotApply(why="no budget bounds the tokens of a step")
    if budget >= BUDGET_TOKENS:
        return DoesNotApply(why=f"the budget of {budget} tokens is large already")
    longest = max((r.prompt_tokens for r in traffic.requests), default=0)
    rows = min(scenario.knobs.max_num_seqs, demand(scenario))
    at_once = min(rows, scenario.traffic.concurrency or 1) * longest
    if at_once <= budget:
        return DoesNotApply(
            why=f"all prompts that come together, {at_once} tokens at most, fit into one step"
        )
    mixed = situation.outcome.mixed_s / (situation.outcome.busy_s or 1.0)
    return Applies(
        evidence=(
            tokens("budget of a step", budget, SETTINGS),
            tokens("longest prompt", longest),
            share("busy time of steps in which prompts ride along", mixed),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """At least BUDGET_TOKENS; both edges agree."""
    del edge
    budget = scenario.knobs.max_num_batched_tokens
    if budget is None or budget >= BUDGET_TOKENS:
        return scenario
    return replace(scenario, knobs=replace(scenario.knobs, max_num_batched_tokens=BUDGET_TOKENS))


STEP = Step(
    id="token-budget",
    title="Raise the token budget of a step",
    category="batching",
    effort=Effort.FLAG,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    excludes=("chunked-prefill",),
    snippets={
        "vllm": "vllm serve MODEL --max-num-batched-tokens 8192",
        "sglang": (
            "python -m sglang.launch_server --model-path MODEL "
            "--chunked-prefill-size 8192 --max-prefill-tokens 16384"
        ),
        "tgi": "text-generation-launcher --model-id MODEL --max-batch-prefill-tokens 8192",
        "trtllm-serve": "trtllm-serve MODEL --max_num_tokens 8192",
        "llamacpp": "llama-server -m MODEL.gguf -b 8192 -ub 2048",
        "lmdeploy": "lmdeploy serve api_server MODEL --max-prefill-token-num 8192",
    },
)

"""Chunked prefill: compute long prompts in pieces, beside the decoding rows.

Why it costs      A long prompt computed whole holds up every stream until it is done, so operators
                  keep batches small or devices half empty to save the latency of the streams.
When it helps     Long prompts among streams with a bound on inter-token latency; p99 of inter-token
                  latency far above its median; a batch kept small because of it.
When it does not  Prompts no longer than a chunk; no streams (offline work), where whole prompts
                  need the fewest steps. It smooths latency; alone it seldom saves device time.
Risk              Time to first token of the long prompts themselves rises: they take several steps,
                  each reading the context so far again.
Verify            The p99 of inter-token latency falls to about one chunk's step while throughput
                  stays; the time to first token of long prompts stays within the SLO.
Sources           Agrawal et al., "Taming Throughput-Latency Tradeoff in LLM Inference with
                  Sarathi-Serve", OSDI 2024 (capacity 2.6 times for Mistral-7B on A100 under a bound
                  on the p99 between tokens). vLLM issue 3130. The effect here is replayed on
                  this target's own step times.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.admission import demand
from costaudit.playbook.evidence import (
    seconds,
    tokens,
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
    unknown_knob,
)
from costaudit.whatif.scenario import Batching, Scenario

CHUNK_TOKENS = 2048  # vLLM's default budget for serving on devices below 70 GiB


def assess(situation: Situation) -> Applicability:
    """Prompts longer than a chunk are computed whole while others decode."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "chunked_prefill"):
        return blind
    if scenario.knobs.batching is Batching.STATIC:
        return DoesNotApply(why="in a static batch all prompts are computed before anybody decodes")
    if scenario.knobs.chunked_prefill and scenario.knobs.max_num_batched_tokens is not None:
        return DoesNotApply(
            why="prompts are computed in chunks already, of"
            f" {scenario.knobs.max_num_batched_tokens} tokens at most"
        )
    if demand(scenario) < 2:  # noqa: PLR2004 -- nobody else decodes meanwhile
        return DoesNotApply(why="one request at a time holds up nobody")
    longest = max((r.prompt_tokens for r in scenario.traffic.requests), default=0)
    if longest <= CHUNK_TOKENS:
        return DoesNotApply(
            why=f"the longest prompt, {longest} tokens, is no longer than a chunk of {CHUNK_TOKENS}"
        )
    outcome = situation.outcome
    evidence = [tokens("longest prompt, computed in one step", longest)]
    if outcome.gaps.total:
        for name, part in (("median", 0.5), ("p99", 0.99)):
            gap = outcome.gaps.quantile_s(part)
            evidence.append(seconds(f"{name} between tokens", gap or 0.0))
    return Applies(evidence=tuple(evidence))


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Chunks, of the present budget where there is one; both edges agree."""
    del edge
    knobs = scenario.knobs
    if knobs.chunked_prefill and knobs.max_num_batched_tokens is not None:
        return scenario
    chunk = knobs.max_num_batched_tokens or CHUNK_TOKENS
    chunked = replace(knobs, chunked_prefill=True, max_num_batched_tokens=chunk)
    return replace(scenario, knobs=chunked)


STEP = Step(
    id="chunked-prefill",
    title="Compute long prompts in chunks",
    category="scheduling",
    effort=Effort.FLAG,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    excludes=("token-budget",),
    snippets={
        "vllm": "vllm serve MODEL --enable-chunked-prefill --max-num-batched-tokens 2048",
        "sglang": (
            "python -m sglang.launch_server --model-path MODEL "
            "--chunked-prefill-size 2048 --enable-mixed-chunk"
        ),
        "trtllm-serve": (
            "# extra.yaml: enable_chunked_prefill: true\n"
            "trtllm-serve MODEL --max_num_tokens 2048 --extra_llm_api_options extra.yaml"
        ),
        "triton": (
            "# config.pbtxt of the TensorRT-LLM backend\n"
            'parameters: { key: "enable_chunked_context" value: { string_value: "true" } }'
        ),
        "llamacpp": "# always on: the micro-batch is the chunk\nllama-server -m MODEL.gguf -ub 512",
        "lmdeploy": "lmdeploy serve api_server MODEL --max-prefill-token-num 2048",
    },
)

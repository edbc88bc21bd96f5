"""Continuous batching: let requests join and leave between steps.

Why it costs      A static batch runs until its longest answer ends. Rows that are done still take
                  part in every step, prompts are padded to the longest, and new requests wait
                  outside while the device works on padding.
When it helps     Answers of unequal length, requests that arrive at any time, batches above one.
When it does not  One request at a time; answers that all end together (scoring, fixed lengths);
                  a server that schedules by iteration already, as all current ones do.
Risk              A prefill that joins delays the tokens of those that decode: watch the p95 of
                  inter-token latency. Answers do not change, apart from rounding.
Verify            Padded rows fall to zero and tokens per device-second rise on the same traffic;
                  inter-token latency p95 stays within the SLO.
Sources           Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative
                  Models", OSDI 2022 (iteration-level scheduling, up to 36.9 times the throughput of
                  FasterTransformer on GPT-3 175B). Agrawal et al., "Taming Throughput-Latency
                  Tradeoff in LLM Inference with Sarathi-Serve", OSDI 2024 (what a joining prefill
                  does to decoding). The saving here comes from a replay of this traffic under this
                  target's own step times, not from these figures; its low end from what the
                  continuous batching of transformers 5 was measured to take of the host.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.admission import demand
from costaudit.playbook.slowdown import with_seconds
from costaudit.playbook.step import (
    Applicability,
    Applies,
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
from costaudit.whatif.scenario import Batching, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

# Each step is put together anew: who joins, block tables, ragged inputs. transformers 5 on a CPU:
# the cost fell to 0.53 to 0.73 (bench/predict_local.py), where today's step times said 0.45 and
# with 2.5 times their host part 0.65. An engine with a faster host than today's is the high end.
HOST = ("overhead", "sequences")
HOST_FACTOR: Mapping[Edge, float] = {Edge.LOW: 2.5, Edge.HIGH: 1.0}


def assess(situation: Situation) -> Applicability:
    """Static batches whose rows or prompts are padded, or that keep requests waiting."""
    scenario, outcome = situation.scenario, situation.outcome
    if blind := unknown_knob(situation, "batching"):
        return blind
    if scenario.knobs.batching is Batching.CONTINUOUS:
        return DoesNotApply(why="requests join and leave between steps already")
    if demand(scenario) < 2:  # noqa: PLR2004 -- two requests make a batch
        return DoesNotApply(why="one request at a time has none to share a step with")
    rows, tokens = outcome.padded_decode_rows, outcome.padded_prefill_tokens
    if not rows and not tokens and not outcome.queue_idle_s:
        return DoesNotApply(why="the requests of each batch begin and end together: none waits")
    replayed = "simulation of the replayed requests"
    return Applies(
        evidence=(
            Evidence(
                what="decode rows that were padding",
                value=rows / max(1, rows + outcome.output_tokens),
                unit="share",
                where=replayed,
            ),
            Evidence(
                what="prefilled tokens that were padding",
                value=tokens / max(1, tokens + outcome.prompt_tokens),
                unit="share",
                where=replayed,
            ),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Schedule by iteration; at the low end its steps need more of the host than a static batch's.

    At the high end a step costs what it costs today.
    """
    if scenario.knobs.batching is Batching.CONTINUOUS:
        return scenario
    joined = replace(scenario, knobs=replace(scenario.knobs, batching=Batching.CONTINUOUS))
    return with_seconds(joined, HOST_FACTOR[edge], HOST)


STEP = Step(
    id="continuous-batching",
    title="Batch continuously",
    category="batching",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    snippets={
        "transformers": (
            "# a server: transformers serve MODEL --continuous-batching\n"
            "# in your own program (transformers 5):\n"
            "outputs = model.generate_batch(list_of_token_ids, generation_config=config)"
        ),
        "vllm": "# always on; --max-num-seqs N caps how many run together\nvllm serve MODEL",
        "sglang": (
            "# always on; --max-running-requests N caps how many run together\n"
            "python -m sglang.launch_server --model-path MODEL"
        ),
        "tgi": (
            "# always on; --max-batch-total-tokens N bounds the batch\n"
            "text-generation-launcher --model-id MODEL"
        ),
        "trtllm-serve": "# in-flight batching is always on\ntrtllm-serve MODEL --max_batch_size N",
        "triton": (
            "# config.pbtxt of the TensorRT-LLM backend\n"
            'parameters: { key: "gpt_model_type" '
            'value: { string_value: "inflight_fused_batching" } }'
        ),
        "llamacpp": (
            "# slots share one step; -c is the context of all slots together\n"
            "llama-server -m MODEL.gguf -np 8 -c 32768 -cb"
        ),
    },
)

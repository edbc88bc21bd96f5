"""Speculative decoding: let a small draft propose tokens and check several in one step.

Why it costs      A decode step reads all weights and yields one token per row. Checking four
                  drafted tokens in the same step reads the weights once for all of them.
When it helps     Decoding at few rows, where reading the weights is most of the step; predictable
                  text (code, extraction, answers that repeat the prompt); a draft head trained for
                  the model.
When it does not  Batches that are bound by compute already (above about 32 rows); drafts of which
                  less than half are accepted; prefill as the larger part of the bill.
Risk              Slower instead of faster where drafts are rejected. The draft takes memory from
                  the KV pool. Greedy answers stay the same, apart from rounding.
Verify            Accepted over drafted tokens stays above one half, and time per output token falls
                  at the batch size of the peak, not only at one row.
Sources           Leviathan et al., "Fast Inference from Transformers via Speculative Decoding",
                  ICML 2023 (acceptance 0.5 to 0.9 by task and draft). Li et al., "EAGLE-3", 2025
                  (throughput 1.38 times at batch 64). vLLM issue 19254 (slower at high batch).
                  Acceptance is literature, 0.5 to 0.8 per token; what it brings is simulated.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.evidence import (
    FITTED,
    count,
    is_on,
    share,
    term_share,
    unknown_roof,
)
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
    unknown_knob,
)
from costaudit.whatif.scenario import Batching, Scenario, Speculation

DRAFTS = {  # literature: a prompt look-up on unlike text to a trained head on plain text
    Edge.LOW: Speculation(draft_tokens=3, accepted_share=0.5, draft_cost_share=0.1),
    Edge.HIGH: Speculation(draft_tokens=3, accepted_share=0.8, draft_cost_share=0.03),
}
MIN_SHARE = 0.2  # of busy time in decoding


def assess(situation: Situation) -> Applicability:
    """Decoding is a large part, and nothing drafts yet."""
    scenario, outcome = situation.scenario, situation.outcome
    if is_on(situation, "speculative_decoding") or is_on(situation, "speculative_config"):
        return DoesNotApply(why="the engine drafts tokens already")
    if scenario.knobs.speculation is not None:
        return DoesNotApply(why="the engine drafts tokens already")
    if blind := unknown_knob(situation, "speculative_decoding"):
        return blind
    if blind := unknown_roof(situation):
        return blind
    if scenario.knobs.batching is Batching.STATIC:
        return CannotTell(
            because="in a static batch all rows wait for the one with the most rejected drafts,"
            " which is not simulated"
        )
    return _by_share(situation, outcome.decode_s / outcome.busy_s if outcome.busy_s else 0.0)


def _by_share(situation: Situation, decoding: float) -> Applicability:
    if decoding < MIN_SHARE:
        return DoesNotApply(why=f"decoding alone is only {decoding:.3f} of the busy time")
    rows = situation.outcome.output_tokens / max(1, situation.outcome.steps)
    evidence = [
        share("busy time that decodes alone", decoding),
        count("rows of a mean step", rows),
    ]
    reading = term_share(situation, "weights")
    if reading is not None:
        evidence.append(share("busy time that reads weights", reading, FITTED))
    return Applies(evidence=tuple(evidence))


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Three drafted tokens per row and step, accepted and paid for as the edge says."""
    if scenario.knobs.speculation is not None:
        return scenario
    return replace(scenario, knobs=replace(scenario.knobs, speculation=DRAFTS[edge]))


STEP = Step(
    id="speculative-decoding",
    title="Draft and verify tokens",
    category="decoding",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    snippets={
        "vllm": (
            "# from the prompt alone:\n"
            "vllm serve MODEL --speculative-config "
            '\'{"method":"ngram","num_speculative_tokens":3,"prompt_lookup_max":4}\'\n'
            "# with a trained head:\n"
            "vllm serve MODEL --speculative-config "
            '\'{"method":"eagle3","model":"HEAD","num_speculative_tokens":3}\''
        ),
        "sglang": (
            "python -m sglang.launch_server --model-path MODEL "
            "--speculative-algorithm EAGLE3 --speculative-draft-model-path HEAD "
            "--speculative-num-steps 3 --speculative-eagle-topk 1 "
            "--speculative-num-draft-tokens 4"
        ),
        "tgi": "text-generation-launcher --model-id MODEL --speculate 3",
        "trtllm-serve": (
            "# extra.yaml: speculative_config: {decoding_type: NGram, max_draft_len: 3}\n"
            "trtllm-serve MODEL --extra_llm_api_options extra.yaml"
        ),
        "llamacpp": "llama-server -m MODEL.gguf -md DRAFT.gguf --draft-max 3",
        "transformers": "model.generate(**inputs, assistant_model=draft)",
    },
)

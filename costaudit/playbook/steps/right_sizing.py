"""Right-sizing: serve the task with the smallest model that does it.

Why it costs      Seconds per token grow with the weights. A task of one kind often needs a fraction
                  of a general model.
When it helps     Short, closed answers (labels, fields, routes) from a model of many billion
                  weights; a data set to tune and to judge a smaller one.
When it does not  A small model already; open-ended answers, where nobody has measured what a
                  smaller model loses; many tasks behind one endpoint.
Risk              Quality on rare inputs, and the work of tuning and of judging again with every new
                  base model.
Verify            The task's own metric of both models on the same held-out set, then dollars per
                  request.
Sources           Zhao et al., "LoRA Land: 310 Fine-tuned LLMs that Rival GPT-4", 2024 (tuned 7B
                  models ahead of GPT-4 on average over 31 tasks). Hsieh et al., "Distilling
                  Step-by-Step!", ACL Findings 2023. What a smaller model saves here is scaled from
                  its weights, a half to a quarter of today's; that it answers well is literature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    count,
    tokens,
    unknown_roof,
)
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
from costaudit.target import work

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

PARAMS_LEFT = {Edge.LOW: 0.5, Edge.HIGH: 0.25}  # of the weights, and so of compute and cache
SCALED = ("weights", "weights_gemm", "decode_compute", "prefill_compute", "prefill_attention", "kv")
SMALL_PARAMS = 6e9
CLOSED_ANSWER_TOKENS = 64  # mean output up to here is a label, a field, a short extract


def assess(situation: Situation) -> Applicability:
    """A large model that gives short, closed answers."""
    scenario = situation.scenario
    if situation.metrics.target.shape is None:
        return CannotTell(because="the model's size is unknown: --model-config would tell")
    if blind := unknown_roof(situation):
        return blind
    params = work.total_params(scenario.shape)
    if params < SMALL_PARAMS:
        return DoesNotApply(why=f"the model has {params / 1e9:.2g} billion weights: it is small")
    mean = scenario.traffic.output_tokens / max(1, len(scenario.traffic.requests))
    if mean > CLOSED_ANSWER_TOKENS:
        return CannotTell(
            because=f"answers of {mean:.0f} tokens are open-ended: whether a smaller model gives"
            " them as well was not measured"
        )
    return Applies(
        evidence=(
            count("weights of the model", params, "facts: shape"),
            tokens("answer, on average", mean),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Reading, cache and compute shrink with the weights; the overhead of a step stays."""
    return with_seconds(scenario, PARAMS_LEFT[edge], SCALED)


STEP = Step(
    id="right-sizing",
    title="Serve a smaller model",
    category="model",
    effort=Effort.WEEKS,
    risk=Risk.QUALITY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    excludes=("smaller-model-routing",),
    snippets={
        "vllm": "vllm serve SMALLER_MODEL --enable-lora --lora-modules task=ADAPTER",
        "sglang": (
            "python -m sglang.launch_server --model-path SMALLER_MODEL --lora-paths task=ADAPTER"
        ),
        "tgi": "text-generation-launcher --model-id SMALLER_MODEL --lora-adapters task=ADAPTER",
        "trtllm-serve": "trtllm-serve SMALLER_MODEL",
        "llamacpp": "llama-server -m SMALLER.gguf --lora ADAPTER.gguf",
        "lmdeploy": "lmdeploy serve api_server SMALLER_MODEL --adapters task=ADAPTER",
        "transformers": 'PeftModel.from_pretrained(smaller_model, "ADAPTER").merge_and_unload()',
    },
)

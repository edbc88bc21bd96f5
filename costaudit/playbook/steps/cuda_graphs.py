"""CUDA graphs and compilation: launch a step at once instead of kernel by kernel.

Why it costs      Between two decode steps the host launches hundreds of kernels one by one. With a
                  small model or a fast device that takes longer than the kernels themselves.
When it helps     Eager execution on a GPU; a step's overhead is a sizeable part of it; few rows.
When it does not  Graphs are captured already, as vLLM and SGLang do unless told not to. Large
                  models and batches, whose kernels hide the launches. A CPU has no launches.
Risk              Start-up takes minutes longer; captured graphs hold 1 to 3 GB of device memory.
                  Shapes outside the captured sizes run eagerly.
Verify            Time per output token at one row falls, by no more than the step's overhead; the
                  KV pool keeps its size.
Sources           PyTorch blog, "Accelerating Generative AI with PyTorch II: GPT, Fast", 2023 (25 to
                  107 tokens per second of Llama-7B on A100 by compilation with CUDA graphs). vLLM
                  issue 6854 and pull request 11133 (5 to 6 ms of host time per step to 0.15 ms).
                  The share of the overhead is this target's own; how much of it goes is literature:
                  30 to 90 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    FITTED,
    is_on,
    seconds,
    share,
    term_share,
    unknown_roof,
    untold_knob,
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

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

OVERHEAD_LEFT = {Edge.LOW: 0.7, Edge.HIGH: 0.1}  # of a step's fixed overhead
MIN_SHARE = 0.05  # of busy time; less is lost in the noise
EAGER = ("transformers",)  # engines that run kernel by kernel unless the model was compiled


def assess(situation: Situation) -> Applicability:
    """Eager steps on a GPU whose overhead is noticeable."""
    if situation.scenario.device_kind == "cpu":
        return DoesNotApply(why="a CPU launches no kernels: there is nothing to capture")
    if not situation.scenario.device_kind:
        return CannotTell(because="the kind of device is unknown, so whether it has graphs is")
    if situation.metrics.target.engine not in EAGER:
        if blind := untold_knob(situation, "enforce_eager"):
            return blind
        if not is_on(situation, "enforce_eager"):
            return DoesNotApply(why="the engine captures graphs unless it is told not to")
    if blind := unknown_roof(situation):
        return blind
    return _by_share(situation)


def _by_share(situation: Situation) -> Applicability:
    overhead = term_share(situation, "overhead")
    if overhead is None:
        return CannotTell(because="the overhead of a step was not told apart from the rest of it")
    if overhead < MIN_SHARE:
        return DoesNotApply(why=f"the overhead of the steps is {overhead:.3f} of the busy time")
    per_step = situation.scenario.step_time.coefficients.get("overhead", 0.0)
    return Applies(
        evidence=(
            share("busy time that is overhead of the steps", overhead, FITTED),
            seconds("overhead of one step", per_step, FITTED),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """The fixed overhead of a step shrinks; what is per sequence stays."""
    return with_seconds(scenario, OVERHEAD_LEFT[edge], ("overhead",))


STEP = Step(
    id="cuda-graphs",
    title="Capture CUDA graphs",
    category="decoding",
    effort=Effort.FLAG,
    risk=Risk.NONE,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    snippets={
        "vllm": "# remove --enforce-eager; or say it\nvllm serve MODEL --no-enforce-eager",
        "sglang": (
            "# remove --disable-cuda-graph; capture up to the batch in use\n"
            "python -m sglang.launch_server --model-path MODEL --cuda-graph-max-bs-decode 64"
        ),
        "tgi": "text-generation-launcher --model-id MODEL --cuda-graphs 1,2,4,8,16,32",
        "trtllm-serve": (
            "# extra.yaml: cuda_graph_config: {enable_padding: true, max_batch_size: 64}\n"
            "trtllm-serve MODEL --extra_llm_api_options extra.yaml"
        ),
        "transformers": (
            'model.generation_config.cache_implementation = "static"\n'
            'model.forward = torch.compile(model.forward, mode="reduce-overhead")'
        ),
    },
)

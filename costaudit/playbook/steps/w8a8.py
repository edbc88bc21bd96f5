"""W8A8 and FP8: 8-bit weights and activations, read and multiplied.

Why it costs      16-bit weights are read in every step, and 16-bit products run at half the rate of
                  8-bit ones. At many rows, and in prefill, multiplying is the larger part.
When it helps     Many rows per step (above about 128) or long prompts; devices with FP8 (Hopper,
                  Ada, Blackwell) or INT8 (Ampere) tensor cores; weights that must halve to make
                  room.
When it does not  Few rows per step: weight-only 4 bits reads half as much. Overhead, KV reads or
                  communication fill the step. A CPU, where weight-quantization means this already.
                  Mixtures of experts, whose small matrices gain little.
Risk              Quality, more from the activations than from the weights: measure the task's own
                  metric. Speed: a few kernels of FP8 are slower than 16 bits at about 512 rows.
Verify            Time to first token of long prompts and tokens per second at the peak batch; a
                  quality check on the task.
Sources           NVIDIA aiconfigurator (Apache-2.0), GEMM kernel tables, n·k of at least 4096²,
                  median speed-up over BF16 by rows: A100 int8 W8A8 1.88 at 1 row, 1.49 at 128, 2.04
                  above 4096; H100 FP8 1.58 at 1, 1.43 at 128, 0.96 at 512, 1.31 above 4096; L40S
                  FP8 1.7 to 1.8. Its served samples: nine matched FP8/BF16 pairs of a large mixture
                  of experts at 0.96 to 1.04. Xiao et al., "SmoothQuant", ICML 2023. vLLM issue
                  21376 (4-bit weights slower than 16 under load).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    unknown_roof,
)
from costaudit.playbook.kernels import decoding_rows, measured, over_products, speedup
from costaudit.playbook.precision import FULL_BYTES, Recipe, by_weights, quantized, unknown_kernels
from costaudit.playbook.step import (
    Applicability,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
    Turn,
    unknown_knob,
)

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

# By rows, H100 FP8 to A100 int8 (L40S FP8 between their points): see the page's sources.
BY_ROWS = ((1, 1.58, 1.88), (128, 1.43, 1.8), (512, 0.96, 1.8), (4096, 1.31, 2.04))


def recipe(scenario: Scenario) -> Recipe:
    """Speeds at the rows of this traffic; never by settings that other steps change."""
    seen = measured(scenario, "fp8")
    by_rows, timed = (BY_ROWS, "") if seen is None else (seen, ", timed on this model's layers")
    return Recipe(
        name=f"8-bit weights and activations{timed}",
        param_bytes=1.0,
        reading=speedup(by_rows, decoding_rows(scenario)),
        compute=over_products(by_rows, scenario),
        keeps_head=True,
    )


def assess(situation: Situation) -> Applicability:
    """Reading and multiplying weights fills a part of the steps of a GPU."""
    if blind := unknown_knob(situation, "quantization"):
        return blind
    if situation.scenario.step_time.param_bytes < FULL_BYTES:
        return DoesNotApply(
            why=f"the weights take {situation.scenario.step_time.param_bytes:g} bytes each already"
        )
    if situation.scenario.device_kind == "cpu":
        return DoesNotApply(why="on a CPU weight-quantization is 8 bits of both already")
    if blind := unknown_kernels(situation) or unknown_roof(situation):
        return blind
    return by_weights(situation, recipe(situation.scenario))


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """One byte per weight, and products at the edge's speed."""
    if scenario.device_kind == "cpu":
        return scenario
    return quantized(scenario, recipe(scenario), edge)


STEP = Step(
    id="w8a8",
    title="Quantize weights and activations to 8 bits",
    category="precision",
    effort=Effort.DAYS,
    risk=Risk.QUALITY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    excludes=("weight-quantization",),
    turn=Turn.KERNEL,
    snippets={
        "vllm": "# from any checkpoint, or serve an FP8 or W8A8 one without the flag\n"
        "vllm serve MODEL --quantization fp8",
        "sglang": "python -m sglang.launch_server --model-path MODEL --quantization w8a8_fp8",
        "tgi": "text-generation-launcher --model-id MODEL --quantize fp8",
        "trtllm-serve": "trtllm-serve nvidia/Llama-3.1-8B-Instruct-FP8",
        "triton": "# build the engine of a checkpoint quantized by ModelOpt\n"
        "trtllm-build --checkpoint_dir CHECKPOINT_FP8 --output_dir ENGINE",
        "lmdeploy": "lmdeploy lite smooth_quant MODEL --work-dir MODEL-w8a8",
        "transformers": (
            "AutoModelForCausalLM.from_pretrained(MODEL, quantization_config=TorchAoConfig(\n"
            "    torchao.quantization.Int8DynamicActivationInt8WeightConfig()))"
        ),
    },
)

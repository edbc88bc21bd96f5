"""Weight quantization: store the weights in 4 bits, on a CPU in 8.

Why it costs      Each decode step reads every weight once, for all its rows together. At few rows
                  that reading is most of the step.
When it helps     Decoding with few rows per step, on a GPU: weight-only 4 bits. On a CPU: dynamic
                  int8, which also multiplies faster. Weights must be a large share of the fitted
                  step time, or nothing large can be saved.
When it does not  Overhead, KV reads or communication fill the step. Weight-only 4 bits above about
                  128 rows per step: unpacking then costs more than reading saves; w8a8 is the step
                  for many rows and long prompts. Mixtures of experts, whose small matrices gain
                  little. On a CPU, matrices of at most 512 by 512 at few rows: they stay in its
                  cache. Kernels that do not fit the device.
Risk              Quality: measure the task's own metric before and after, not perplexity alone.
                  Some configurations get slower: FP4 was slower than FP8 in about one matched pair
                  of five, and nine matched pairs of a large mixture of experts at FP8 against BF16
                  ran at 0.96 to 1.04 times the speed.
Verify            Time per output token at one row and at the peak batch, and the time to first
                  token of long prompts; a quality check on the task.
Sources           Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative
                  Pre-trained Transformers", ICLR 2023 (3.25 times on A100 at batch 1). Lin et al.,
                  "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration",
                  MLSys 2024. NVIDIA aiconfigurator (Apache-2.0): its GEMM kernel tables, n·k of at
                  least 4096², median speed-up over BF16 by rows (A100 W4A16 2.22 at 1 row, 1.29 at
                  64, 1.06 at 128, 0.94 at 512; taken at the traffic's rows), and its served samples
                  (the pairs above). On CPUs: torch's dynamic int8 against float32 on one thread,
                  bench/dynamic_int8.py (at one to four rows 0.44 to 1.15 for matrices of at most
                  512 by 512, 1.7 to 10.7 for larger ones; 1.6 to 3.1 at 256 rows and more) where a
                  recording did not time the model's own layers, as those of a model in this process
                  do; PyTorch's tutorial on dynamic quantization of BERT (2020) reports 160 s
                  against 90 s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.evidence import unknown_roof
from costaudit.playbook.kernels import (
    MEASURED_MARGIN,
    decoding_rows,
    measured,
    over_products,
    speedup,
)
from costaudit.playbook.precision import (
    FULL_BYTES,
    Recipe,
    by_weights,
    quantized,
    rows_per_step,
    unknown_kernels,
)
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

MANY_ROWS = 128  # from here on unpacking costs what reading saves (aiconfigurator's curves)
# By rows: the medians of A100 kernels, and as much more as GPTQ reports at one row (3.25).
MEDIANS = ((1, 2.22), (32, 1.89), (64, 1.29), (128, 1.06), (256, 0.97), (512, 0.94))
BY_ROWS = tuple((rows, median, median * 3.25 / 2.22) for rows, median in MEDIANS)
# 4 bits in groups of 128 with a 16-bit scale and zero point. Reading at one row; compute: 512 rows
# (0.94) to parity.
W4A16 = Recipe(
    name="weight-only 4 bits",
    param_bytes=0.5 + 4 / 128,
    reading=speedup(BY_ROWS, 1),
    compute=(0.94, 1.0),
    keeps_head=True,
)
# 8 bits with a scale per output, likewise on A100 (1.69 at 1 row, 1.14 at 128, 0.96 at 512).
W8A16 = replace(W4A16, name="weight-only 8 bits", param_bytes=1.0, compute=(0.96, 1.0))
EIGHT_BY_ROWS = ((1, 1.69, 1.9), (128, 1.14, 1.3), (512, 0.96, 1.1))
WEIGHT_ONLY = {"int4-weights": (W4A16, BY_ROWS), "int8-weights": (W8A16, EIGHT_BY_ROWS)}
# torch.ao.quantization.quantize_dynamic, torch 2.13, one thread, float32 seconds over int8 seconds
# as bench/dynamic_int8.py prints them, least and most of an AVX2 and an AVX-512 processor. Reading:
# one to four rows, 128×512 and 512² (0.44 to 1.15) apart from 1536×512 to 4096² (AVX2 1.7 to 10,
# AVX-512 4.1 to 10.7: float32 itself is slow at four rows, hence more than the bytes' 4 to 1).
# Compute: 256 rows and more, 1.6 to 3.1; less at the low end, since attention stays in float32.
INT8_CPU = Recipe(
    name="dynamic int8",
    param_bytes=1.0,
    reading=(1.7, 10.7),
    compute=(1.25, 3.1),
    keeps_head=False,
    small_reading=(0.44, 1.15),
)


def recipe(scenario: Scenario) -> Recipe:
    """The recipe for this device and its rows; never by settings that other steps change."""
    if scenario.device_kind == "cpu":
        return INT8_CPU if scenario.int8_speedup is None else _measured(*scenario.int8_speedup)
    return weight_only(scenario, "int4-weights")


def weight_only(scenario: Scenario, form: str) -> Recipe:
    """The recipe of a format of WEIGHT_ONLY on a GPU, as timed there, else by the sources."""
    base, by_rows = WEIGHT_ONLY[form]
    rows = decoding_rows(scenario)
    if (seen := measured(scenario, form)) is None:
        return replace(base, reading=speedup(by_rows, rows))
    return replace(
        base,
        name=f"{base.name}, timed on this model's layers",
        reading=speedup(seen, rows),
        compute=over_products(seen, scenario),
    )


def _measured(decode: float, prefill: float) -> Recipe:
    """The speed-ups that the recording saw on this model's own layers, give or take."""
    (decode_low, decode_high), (prefill_low, prefill_high) = (
        (seen / (1 + MEASURED_MARGIN), seen * (1 + MEASURED_MARGIN)) for seen in (decode, prefill)
    )
    return replace(
        INT8_CPU,
        name="dynamic int8, timed on this model's layers",
        reading=(decode_low, decode_high),
        compute=(prefill_low, prefill_high),
        small_reading=None,
    )


def assess(situation: Situation) -> Applicability:
    """Reading weights fills a part of the step that can be cut, at rows that let it."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "quantization"):
        return blind
    if scenario.step_time.param_bytes < FULL_BYTES:
        return DoesNotApply(
            why=f"the weights take {scenario.step_time.param_bytes:g} bytes each already"
        )
    if blind := unknown_kernels(situation) or unknown_roof(situation):
        return blind
    rows = rows_per_step(scenario)
    if scenario.device_kind == "cuda" and rows is not None and rows > MANY_ROWS:
        return DoesNotApply(
            why=f"at {rows:.0f} rows per step unpacking 4-bit weights costs what reading them saves"
        )
    return by_weights(situation, recipe(scenario))


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Fewer bytes per weight at the recipe's speeds; attention counts as compute and gains too."""
    return quantized(scenario, recipe(scenario), edge)


STEP = Step(
    id="weight-quantization",
    title="Quantize the weights",
    category="precision",
    effort=Effort.DAYS,
    risk=Risk.QUALITY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    turn=Turn.KERNEL,
    snippets={
        "transformers": (
            "# on a CPU:\n"
            "model = torch.ao.quantization.quantize_dynamic(\n"
            "    model, {torch.nn.Linear}, dtype=torch.qint8)\n"
            "# on a GPU, with torchao:\n"
            "AutoModelForCausalLM.from_pretrained(MODEL, quantization_config=TorchAoConfig(\n"
            "    torchao.quantization.Int4WeightOnlyConfig(group_size=128)))"
        ),
        "vllm": (
            "# serve an AWQ or GPTQ checkpoint; the fast kernel is chosen without a flag\n"
            "vllm serve MODEL-AWQ"
        ),
        "sglang": "python -m sglang.launch_server --model-path MODEL-AWQ --quantization awq_marlin",
        "tgi": "text-generation-launcher --model-id MODEL-AWQ --quantize awq",
        "trtllm-serve": "# a checkpoint quantized by ModelOpt to INT4 AWQ\ntrtllm-serve MODEL-AWQ",
        "llamacpp": "llama-quantize MODEL-f16.gguf MODEL-q4.gguf Q4_K_M",
        "lmdeploy": "lmdeploy lite auto_awq MODEL --work-dir MODEL-awq",
    },
    excludes=("w8a8",),
)

"""Weight quantization: store the weights in 8 or 4 bits.

Why it costs      Each decode step reads every weight once, for all its rows together. At few rows
                  that reading is most of the step.
When it helps     Decoding with few rows per step: weight-only 4 bits. Many rows or long prompts:
                  8-bit weights and activations (W8A8, FP8), which also multiply faster. Weights
                  must be a large share of the fitted step time, or nothing large can be saved.
When it does not  Overhead, KV reads or communication fill the step. Weight-only 4 bits above about
                  128 rows per step: unpacking then costs more than reading saves. Mixtures of
                  experts, whose small matrices gain little. On a CPU, matrices of at most 512 by
                  512 at few rows: they stay in its cache. Kernels that do not fit the device.
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
                  least 4096², median speed-up over BF16 by rows (A100 W4A16 2.22 at 1 row, 1.29
                  at 64, 0.94 at 512; A100 W8A8 1.88 at 1, 2.04 above 4096; H100 FP8 1.43 at 128,
                  0.96 at 512), and its served samples (the pairs above). On CPUs: torch's dynamic
                  int8 against float32 on one thread, bench/dynamic_int8.py (at one to four rows
                  0.44 to 1.15 for matrices of at most 512 by 512, 1.7 to 10.7 for larger ones; 1.6
                  to 3.1 at 256 rows and more); PyTorch's tutorial on dynamic quantization of BERT
                  reports 160 s against 90 s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
from costaudit.target import work

if TYPE_CHECKING:
    from costaudit.target.shape import ModelShape
    from costaudit.whatif.scenario import Scenario

FULL_BYTES = 2.0  # a weight below 16 bits is quantized already
FEW_ROWS = 64  # up to here decoding reads more than it multiplies (aiconfigurator's curves)
MIN_SHARE = 0.05  # of busy time in weights and compute; less cannot save a noticeable part
MOE_LEAST = 0.96  # nine matched FP8/BF16 pairs of Qwen3.5-397B-A17B, B200: 0.96 to 1.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to quantize: bytes per weight, and (least, most) speed-up of reading and compute.

    `small_reading` holds for matrices of at most SMALL_WEIGHTS; None: for them as for all.
    """

    name: str
    param_bytes: float
    reading: tuple[float, float]
    compute: tuple[float, float]
    keeps_head: bool  # the output head stays in 16 bits
    small_reading: tuple[float, float] | None = None


# 4 bits in groups of 128 with a 16-bit scale and zero point. Reading: 64 rows (1.29) to GPTQ's
# 3.25 at one row; compute: 512 rows (0.94) to parity.
W4A16 = Recipe(
    name="weight-only 4 bits",
    param_bytes=0.5 + 4 / 128,
    reading=(1.29, 3.25),
    compute=(0.94, 1.0),
    keeps_head=True,
)
# Reading: H100 FP8 at 128 rows to A100 int8 at one; compute: H100 at 512 rows to A100 above 4096.
W8A8 = Recipe(
    name="8-bit weights and activations",
    param_bytes=1.0,
    reading=(1.43, 1.88),
    compute=(0.96, 2.04),
    keeps_head=True,
)
# torch.ao.quantization.quantize_dynamic, torch 2.13, one thread, float32 seconds over int8 seconds
# as bench/dynamic_int8.py prints them, least and most of an AVX2 and an AVX-512 processor. Reading:
# one to four rows, 128×512 and 512² (0.44 to 1.15) apart from 1536×512 to 4096² (AVX2 1.7 to 10,
# AVX-512 4.1 to 10.7: float32 itself is slow at four rows, hence more than the bytes' 4 to 1).
# Compute: 256 rows and more, 1.6 to 3.1; less at the low end, since attention stays in float32.
SMALL_WEIGHTS = 512 * 512
INT8_CPU = Recipe(
    name="dynamic int8",
    param_bytes=1.0,
    reading=(1.7, 10.7),
    compute=(1.25, 3.1),
    keeps_head=False,
    small_reading=(0.44, 1.15),
)


def rows_per_step(scenario: Scenario) -> float | None:
    """Rows of a mean step at full concurrency: B·(1 + prompt/output); None for an open load."""
    traffic = scenario.traffic
    if traffic.concurrency is None:
        return None
    return traffic.concurrency * (1 + traffic.prompt_tokens / max(1, traffic.output_tokens))


def recipe(scenario: Scenario) -> Recipe:
    """The recipe for this device and traffic; never by settings that other steps change."""
    if scenario.device_kind == "cpu":
        return INT8_CPU
    rows = rows_per_step(scenario)
    return W4A16 if rows is not None and rows <= FEW_ROWS else W8A8


def assess(situation: Situation) -> Applicability:
    """Reading and multiplying weights fills a part of the step that can be cut."""
    scenario, outcome = situation.scenario, situation.outcome
    if blind := unknown_knob(situation, "quantization"):
        return blind
    if scenario.step_time.param_bytes < FULL_BYTES:
        return DoesNotApply(
            why=f"the weights take {scenario.step_time.param_bytes:g} bytes each already"
        )
    if scenario.device_kind not in {"cpu", "cuda"}:
        return CannotTell(because="the kind of device is unknown, so its low-precision kernels are")
    terms = outcome.busy_terms_s
    if "weights" not in terms or not outcome.busy_s:
        return CannotTell(
            because="the time of reading weights was not told apart from the rest of the step"
        )
    reading = terms["weights"] / outcome.busy_s
    compute = (
        terms.get("decode_compute", 0.0) + terms.get("prefill_compute", 0.0)
    ) / outcome.busy_s
    if reading + compute < MIN_SHARE:
        return DoesNotApply(
            why=f"weights and compute are {reading + compute:.3f} of the busy time: "
            "there is nothing large to save"
        )
    return Applies(evidence=_evidence(scenario, reading, compute))


def _evidence(scenario: Scenario, reading: float, compute: float) -> tuple[Evidence, ...]:
    fitted = "fitted step time, over the replayed requests"
    evidence: tuple[Evidence, ...] = (
        Evidence(what="busy time that reads weights", value=reading, unit="share", where=fitted),
        Evidence(what="busy time that multiplies", value=compute, unit="share", where=fitted),
        Evidence(
            what=f"bytes per weight under {recipe(scenario).name}",
            value=recipe(scenario).param_bytes,
            unit="bytes",
            where="recipe for this device and traffic",
        ),
    )
    if recipe(scenario).small_reading is not None:
        what = "weights in matrices of at most 512 by 512, which a cache holds"
        small = small_share(scenario.shape)
        evidence += (Evidence(what=what, value=small, unit="share", where="facts: shape"),)
    rows = rows_per_step(scenario)
    if rows is None:
        return evidence
    where = "requests: lengths, concurrency"
    return (*evidence, Evidence(what="rows per step", value=rows, unit="count", where=where))


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Fewer bytes per weight at the recipe's speeds; attention counts as compute and gains too."""
    fitted = scenario.step_time
    if fitted.param_bytes < FULL_BYTES:
        return scenario
    chosen = recipe(scenario)
    reading = _reading(chosen, scenario.shape, edge)
    compute = _speedup(chosen.compute, edge)
    if scenario.shape.experts and edge is Edge.LOW:
        reading, compute = min(reading, MOE_LEAST), min(compute, MOE_LEAST)
    done = _quantized_share(scenario) if chosen.keeps_head else 1.0
    kept_bytes = min(fitted.param_bytes, FULL_BYTES)
    param_bytes = (1 - done) * kept_bytes + done * chosen.param_bytes
    reading_share = (1 - done) * kept_bytes / fitted.param_bytes + done / reading  # of the seconds
    compute_share = (1 - done) + done / compute
    return replace(
        scenario,
        step_time=fitted.with_precision(
            param_bytes=param_bytes,
            weights_cost_factor=reading_share * fitted.param_bytes / param_bytes,
            flops_factor=1 / compute_share,
        ),
    )


def _speedup(bounds: tuple[float, float], edge: Edge) -> float:
    return bounds[0] if edge is Edge.LOW else bounds[1]


def _reading(chosen: Recipe, shape: ModelShape, edge: Edge) -> float:
    """Speed-up of reading all weights: their seconds add up, matrix by matrix."""
    speedup = _speedup(chosen.reading, edge)
    if chosen.small_reading is None:
        return speedup
    small = small_share(shape)
    return 1 / (small / _speedup(chosen.small_reading, edge) + (1 - small) / speedup)


def small_share(shape: ModelShape) -> float:
    """Share of a token's weights in matrices of at most SMALL_WEIGHTS.

    A layer's matrices: query and output, key and value (of latent attention five of one size),
    and those of its MLP, as wide as an expert where there are experts; then the output head.
    """
    attention, layer = work.attention_params(shape), work.active_params(shape) / shape.layers
    width = shape.experts.ffn if shape.experts else shape.ffn
    parts = [(shape.hidden * width, layer - attention)]  # (size of a matrix, all of that size)
    if shape.latent is None:
        sizes = (shape.hidden * heads * shape.head_dim for heads in (shape.heads, shape.kv_heads))
        parts += [(size, 2 * size) for size in sizes]
    else:
        parts.append((attention // 5, attention))
    small = shape.layers * sum(weights for size, weights in parts if size <= SMALL_WEIGHTS)
    head = shape.hidden * shape.vocab
    small += head if head <= SMALL_WEIGHTS else 0
    return small / (shape.layers * layer + head)


def _quantized_share(scenario: Scenario) -> float:
    """Share of a token's weights that lie in the layers, not in the output head."""
    layers = work.active_params(scenario.shape)
    return layers / (layers + scenario.shape.hidden * scenario.shape.vocab)


STEP = Step(
    id="weight-quantization",
    title="Quantize the weights",
    category="precision",
    effort=Effort.DAYS,
    risk=Risk.QUALITY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    snippets={
        "transformers": (
            "# on a CPU:\n"
            "model = torch.ao.quantization.quantize_dynamic(\n"
            "    model, {torch.nn.Linear}, dtype=torch.qint8)\n"
            "# on a GPU, with torchao:\n"
            "AutoModelForCausalLM.from_pretrained(MODEL, quantization_config=TorchAoConfig(\n"
            "    torchao.quantization.Int8DynamicActivationInt8WeightConfig()))"
        ),
        "vllm": (
            "# 8 bits from any checkpoint; for 4 bits serve an AWQ or GPTQ one, without the flag\n"
            "vllm serve MODEL --quantization fp8"
        ),
        "sglang": "python -m sglang.launch_server --model-path MODEL --quantization fp8",
        "tgi": "text-generation-launcher --model-id MODEL --quantize fp8",
        "trtllm-serve": (
            "# serve a checkpoint quantized by ModelOpt, for instance\n"
            "trtllm-serve nvidia/Llama-3.1-8B-Instruct-FP8"
        ),
        "llama.cpp": "llama-quantize MODEL-f16.gguf MODEL-q4.gguf Q4_K_M",
    },
)

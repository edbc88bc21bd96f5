"""KV-cache quantization: keep keys and values in 8 bits.

Why it costs      Each decode step reads the whole cached context of every row, and the cache fills
                  the memory that decides how many rows there are.
When it helps     KV memory ends the growth of the batch: the same bytes hold twice the 16-bit
                  tokens. Long contexts at large batches, where reading the cache is a large share
                  of the step.
When it does not  Weights or overhead fill the step and memory is not short. Short contexts: below
                  about 100 MB of cache per attention kernel the 8-bit kernel was slower in 83 % of
                  shapes. Engines that unpack the cache before attention instead of inside it.
Risk              Quality, most at long contexts and without calibrated scales. Prefill was 2.4 to
                  4.9 % slower and decoding 0.4 to 5.5 % faster in one careful comparison: twice
                  the capacity is sure, speed is not.
Verify            Tokens of KV capacity double; time per output token at the peak batch does not
                  rise; preemptions fall; a retrieval check at the longest context in use.
Sources           vLLM issue 42058 (A100, FP8 against BF16 cache: prefill, decoding, capacity), vLLM
                  pull request 2279 (LLaMA-7B offline throughput 1.49 times), NVIDIA aiconfigurator
                  (Apache-2.0): decode attention kernels, H100, vLLM with FlashAttention 3 (83 % of
                  shapes below 100 MB slower); version 0.12, H100 and H200, three engines: medians
                  0.75 to 1.28 times the speed below 10 MB, 1.14 to 1.86 above 1 GB. SGLang
                  documentation, "Quantized KV Cache" (unfused unpacking can be extremely slow).
                  Hooper et al., "KVQuant: Towards 10 Million Context Length LLM Inference with KV
                  Cache Quantization", NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.admission import memory_binds, with_kv
from costaudit.playbook.kernels import cache_bytes_per_kernel, speedup
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
    Turn,
    unknown_knob,
)
from costaudit.whatif.scenario import KvLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.whatif.scenario import Scenario

ELEMENT_BYTES = 1.0  # FP8 or int8; per-tensor and per-head scales weigh less than 1 %
MIN_KV_SHARE = 0.05  # of busy time; below it faster reads save nothing noticeable
# Decode attention of a 16-bit over an FP8 cache by the bytes that a kernel reads: least and most
# of the medians of vLLM 0.24, SGLang 0.5.14 and TensorRT-LLM 1.3 on H100 and H200 (see Sources),
# below 10 MB, to 100 MB, to 1 GB and above.
BY_BYTES = ((3e6, 0.75, 1.28), (3e7, 0.88, 1.55), (3e8, 1.05, 1.68), (3e9, 1.14, 1.86))
FUSED_SLOWER = 1.05  # seconds of attention at worst where the shape is unknown (vLLM issue 42058)
PREFILL_SLOWER = 1.05  # likewise, seconds of compute


def assess(situation: Situation) -> Applicability:
    """Reading the cache fills the steps, or its size keeps the batch small."""
    scenario, outcome = situation.scenario, situation.outcome
    if blind := unknown_knob(situation, "kv_cache_dtype"):
        return blind
    if scenario.step_time.kv_element_bytes <= ELEMENT_BYTES:
        return DoesNotApply(
            why=f"the cache takes {scenario.step_time.kv_element_bytes:g} bytes an element already"
        )
    if "kv" not in outcome.busy_terms_s or not outcome.busy_s:
        return CannotTell(
            because="the time of reading the cache was not told apart from the rest of the step"
        )
    share = outcome.busy_terms_s["kv"] / outcome.busy_s
    binds = memory_binds(scenario) or outcome.kv.preemptions > 0
    if share < MIN_KV_SHARE and scenario.knobs.kv_budget_tokens <= 0:
        why = situation.metrics.unknown.get("kv_cache.capacity_tokens", "it was not measured")
        return CannotTell(because=f"whether KV memory limits the batch is unknown: {why}")
    if share < MIN_KV_SHARE and not binds:
        return DoesNotApply(
            why=f"reading the cache is {share:.3f} of the busy time and its memory is not short"
        )
    return Applies(evidence=_evidence(situation, share))


def _evidence(situation: Situation, share: float) -> tuple[Evidence, ...]:
    kv, replayed = situation.outcome.kv, "simulation of the replayed requests"
    return (
        Evidence(
            what="busy time that reads the cache",
            value=share,
            unit="share",
            where="fitted step time, over the replayed requests",
        ),
        Evidence(
            what="KV memory in use at its peak",
            value=kv.usage_peak_share,
            unit="share",
            where=replayed,
        ),
        Evidence(
            what="preemptions for lack of KV memory",
            value=kv.preemptions,
            unit="count",
            where=replayed,
        ),
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """One byte per element: more tokens in the same memory, read at the edge's speed.

    On a GPU that is measured by the bytes a kernel reads. On a CPU, or where the device is not
    known, the cache may be unpacked as a whole before it is read: one small read, one full write
    and one full read for each full read of before.
    """
    fitted, knobs = scenario.step_time, scenario.knobs
    before = fitted.kv_element_bytes
    if before <= ELEMENT_BYTES:
        return scenario
    seconds = _seconds(scenario)[edge]
    slower = PREFILL_SLOWER if edge is Edge.LOW else 1.0
    step_time = fitted.with_precision(
        kv_element_bytes=ELEMENT_BYTES,
        kv_cost_factor=seconds * before / ELEMENT_BYTES,
        flops_factor=1 / slower,
    )
    larger = replace(knobs, kv_budget_tokens=int(knobs.kv_budget_tokens * before / ELEMENT_BYTES))
    return replace(with_kv(scenario, larger), step_time=step_time)


def _seconds(scenario: Scenario) -> Mapping[Edge, float]:
    """Seconds of reading the cache over those of today, at both edges."""
    before = scenario.step_time.kv_element_bytes
    apart = (ELEMENT_BYTES + 2 * before) / before
    if scenario.device_kind != "cuda":
        return {Edge.LOW: apart, Edge.HIGH: ELEMENT_BYTES / before}
    if scenario.knobs.kv_layout is not KvLayout.PAGED:
        # A model of transformers in this process: at best the unpacked copy stays in the L2 cache.
        return {Edge.LOW: apart, Edge.HIGH: (ELEMENT_BYTES + before) / before}
    if scenario.step_time.free:
        return {Edge.LOW: FUSED_SLOWER, Edge.HIGH: ELEMENT_BYTES / before}
    least, most = speedup(BY_BYTES, cache_bytes_per_kernel(scenario))
    return {Edge.LOW: 1 / least, Edge.HIGH: 1 / most}


STEP = Step(
    id="kv-cache-quantization",
    title="Quantize the KV cache",
    category="precision",
    effort=Effort.FLAG,
    risk=Risk.QUALITY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    turn=Turn.KERNEL,
    snippets={
        "transformers": (
            "# unpacks the cache before attention: saves memory, not time\n"
            'model.generate(**inputs, cache_implementation="quantized",\n'
            '    cache_config={"backend": "fp8"})'
        ),
        "vllm": "vllm serve MODEL --kv-cache-dtype fp8",
        "sglang": "python -m sglang.launch_server --model-path MODEL --kv-cache-dtype fp8_e4m3",
        "tgi": "text-generation-launcher --model-id MODEL --kv-cache-dtype fp8_e4m3fn",
        "trtllm-serve": (
            "# extra.yaml: kv_cache_config: {dtype: fp8}\n"
            "trtllm-serve MODEL --extra_llm_api_options extra.yaml"
        ),
        "llamacpp": "llama-server -m MODEL.gguf -fa on -ctk q8_0 -ctv q8_0",
    },
)

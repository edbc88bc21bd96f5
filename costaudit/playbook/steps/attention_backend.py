"""Attention backend: a fused kernel where prefill attention is far from its roof.

Why it costs      Unfused attention writes the matrix of scores to memory and reads it back. Its
                  seconds grow with the square of the prompt, far above those of its FLOPs.
When it helps     Long prompts; attention at a small part of the device's FLOPs; eager or a generic
                  kernel in use.
When it does not  Short prompts, where the linear layers are nearly all of prefill; a fused kernel
                  in use, near what is published for the device; a CPU, whose kernel is fused
                  already.
Risk              Kernels differ in what they support (head size, windows, KV precision, soft caps);
                  an unsupported one falls back quietly. Answers change within rounding.
Verify            The time to first token of the longest prompts falls; the log names the backend;
                  greedy answers agree.
Sources           Dao, "FlashAttention-2", ICLR 2024 (50 to 73 % of the A100's FLOPs). Shah et al.,
                  "FlashAttention-3", NeurIPS 2024 (up to 75 % of the H100's). Today's efficiency is
                  this target's own fit; the one that is reached is literature, 35 to 73 %.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    FITTED,
    share,
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
    Turn,
)
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.whatif.scenario import Scenario

EFFICIENCY = {Edge.LOW: 0.35, Edge.HIGH: 0.73}  # of peak FLOPs, forward pass
MIN_SHARE = 0.05  # of busy time that the better kernel could at most remove


def assess(situation: Situation) -> Applicability:
    """Attention that costs far more than its FLOPs, in prompts long enough to matter."""
    if blind := unknown_roof(situation):
        return blind
    if situation.scenario.device_kind == "cpu":
        return DoesNotApply(why="on a CPU the attention of torch is fused already")
    fitted = situation.scenario.step_time
    if not _multiple(fitted.coefficients) or "prefill_attention" not in fitted.coefficients:
        return CannotTell(
            because="the time of prefill attention was not told apart: no probe had a prompt long"
            " enough"
        )
    present, best = _multiple(fitted.coefficients), 1 / EFFICIENCY[Edge.LOW]
    if present <= best:
        return DoesNotApply(
            why=f"prefill attention runs at {1 / present:.2f} of the peak: near what fused kernels"
            " reach"
        )
    return _by_share(situation, present)


def _by_share(situation: Situation, present: float) -> Applicability:
    before, after = (
        simulate(scenario).busy_s
        for scenario in (situation.scenario, change(situation.scenario, Edge.HIGH))
    )
    saved = 1 - after / before if before else 0.0
    if saved < MIN_SHARE:
        return DoesNotApply(why=f"a better kernel could save {saved:.3f} of the busy time at most")
    return Applies(
        evidence=(
            share("efficiency of prefill attention, of peak FLOPs", 1 / present, FITTED),
            share("busy time that a better kernel could save at most", saved),
        )
    )


def _multiple(coefficients: Mapping[str, float]) -> float:
    """Seconds of prefill attention over those of its FLOPs at peak."""
    return coefficients.get("prefill_compute", 0.0) + coefficients.get("prefill_attention", 0.0)


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """What attention costs beyond the other products shrinks to the kernel's efficiency."""
    fitted, wanted = scenario.step_time, 1 / EFFICIENCY[edge]
    return replace(
        scenario,
        step_time=replace(
            fitted,
            coefficients=_fused(fitted.coefficients, wanted),
            draws=tuple(_fused(draw, wanted) for draw in fitted.draws),
        ),
    )


def _fused(coefficients: Mapping[str, float], wanted: float) -> Mapping[str, float]:
    beyond = coefficients.get("prefill_attention", 0.0)
    allowed = max(0.0, wanted - coefficients.get("prefill_compute", 0.0))
    if beyond <= allowed:
        return coefficients
    return {**coefficients, "prefill_attention": allowed}


STEP = Step(
    id="attention-backend",
    title="Use a fused attention kernel",
    category="attention",
    effort=Effort.FLAG,
    risk=Risk.NONE,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    turn=Turn.EARLY,
    snippets={
        "vllm": "vllm serve MODEL --attention-backend FLASH_ATTN",
        "sglang": "python -m sglang.launch_server --model-path MODEL --attention-backend fa3",
        "tgi": "ATTENTION=flashinfer text-generation-launcher --model-id MODEL",
        "trtllm-serve": (
            "# extra.yaml: attn_backend: TRTLLM\n"
            "trtllm-serve MODEL --extra_llm_api_options extra.yaml"
        ),
        "llamacpp": "llama-server -m MODEL.gguf -fa on",
        "transformers": (
            'AutoModelForCausalLM.from_pretrained(MODEL, attn_implementation="flash_attention_2")'
        ),
    },
)

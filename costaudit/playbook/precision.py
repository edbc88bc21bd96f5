"""Quantized weights: what a recipe does to the step time, and whether weights matter at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.playbook.evidence import FITTED, count, share, term_share
from costaudit.playbook.memory import with_freed_weights
from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    DoesNotApply,
    Edge,
    Evidence,
    Situation,
)
from costaudit.target import work

if TYPE_CHECKING:
    from costaudit.target.shape import ModelShape
    from costaudit.whatif.scenario import Scenario

FULL_BYTES = 2.0  # a weight below 16 bits is quantized already
MIN_SHARE = 0.05  # of busy time in weights and compute; less cannot save a noticeable part
MOE_LEAST = 0.96  # nine matched FP8/BF16 pairs of Qwen3.5-397B-A17B, B200: 0.96 to 1.04
SMALL_WEIGHTS = 512 * 512


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


def rows_per_step(scenario: Scenario) -> float | None:
    """Rows of a mean step at full concurrency: B·(1 + prompt/output); None for an open load."""
    traffic = scenario.traffic
    if traffic.concurrency is None:
        return None
    return traffic.concurrency * (1 + traffic.prompt_tokens / max(1, traffic.output_tokens))


def unknown_kernels(situation: Situation) -> CannotTell | None:
    """The answer where nobody knows which low-precision kernels the device has."""
    if situation.scenario.device_kind in {"cpu", "cuda"}:
        return None
    return CannotTell(because="the kind of device is unknown, so its low-precision kernels are")


def by_weights(situation: Situation, chosen: Recipe) -> Applicability:
    """Whether reading and multiplying weights fills a part of the step that can be cut."""
    reading = term_share(situation, "weights")
    if reading is None:
        return CannotTell(
            because="the time of reading weights was not told apart from the rest of the step"
        )
    terms, busy_s = situation.outcome.busy_terms_s, situation.outcome.busy_s
    compute = (terms.get("decode_compute", 0.0) + terms.get("prefill_compute", 0.0)) / busy_s
    if reading + compute < MIN_SHARE:
        return DoesNotApply(
            why=f"weights and compute are {reading + compute:.3f} of the busy time: "
            "there is nothing large to save"
        )
    return Applies(evidence=_evidence(situation.scenario, chosen, reading, compute))


def _evidence(
    scenario: Scenario, chosen: Recipe, reading: float, compute: float
) -> tuple[Evidence, ...]:
    evidence = [
        share("busy time that reads weights", reading, FITTED),
        share("busy time that multiplies", compute, FITTED),
        Evidence(
            what=f"bytes per weight under {chosen.name}",
            value=chosen.param_bytes,
            unit="bytes",
            where="recipe for this device and traffic",
        ),
    ]
    if chosen.small_reading is not None:
        what = "weights in matrices of at most 512 by 512, which a cache holds"
        evidence.append(share(what, small_share(scenario.shape), "facts: shape"))
    rows = rows_per_step(scenario)
    if rows is not None:
        evidence.append(count("rows per step", rows, "requests: lengths, concurrency"))
    return tuple(evidence)


def quantized(scenario: Scenario, chosen: Recipe, edge: Edge) -> Scenario:
    """Fewer bytes per weight at the recipe's speeds; attention counts as compute and gains too.

    The memory that the weights leave goes to the KV pool.
    """
    fitted = scenario.step_time
    if fitted.param_bytes < FULL_BYTES:
        return scenario
    reading = _reading(chosen, scenario.shape, edge)
    compute = _speedup(chosen.compute, edge)
    if scenario.shape.experts and edge is Edge.LOW:
        reading, compute = min(reading, MOE_LEAST), min(compute, MOE_LEAST)
    done = _quantized_share(scenario) if chosen.keeps_head else 1.0
    kept_bytes = min(fitted.param_bytes, FULL_BYTES)
    param_bytes = (1 - done) * kept_bytes + done * chosen.param_bytes
    reading_share = (1 - done) * kept_bytes / fitted.param_bytes + done / reading  # of the seconds
    compute_share = (1 - done) + done / compute
    lighter = fitted.with_precision(
        param_bytes=param_bytes,
        weights_cost_factor=reading_share * fitted.param_bytes / param_bytes,
        flops_factor=1 / compute_share,
    )
    return with_freed_weights(scenario, replace(scenario, step_time=lighter))


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

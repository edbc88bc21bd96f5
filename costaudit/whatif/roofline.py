"""The speed of light of one step, and where it bends as the context grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.target import work

if TYPE_CHECKING:
    from costaudit.target.load import StepLoad
    from costaudit.whatif.form import Hosted


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Seconds at the peaks, part by part; each is linear in the context of the sequences.

    Attributes:
        prefill_s: the longer of prefill's FLOPs and prefill's bytes.
        weights_flops_s: decode's FLOPs that do not grow with context.
        kv_flops_s: decode's attention FLOPs.
        weights_bytes_s: weights that decode reads.
        kv_bytes_s: cache that decode reads.
    """

    prefill_s: float
    weights_flops_s: float
    kv_flops_s: float
    weights_bytes_s: float
    kv_bytes_s: float


def roofline(load: StepLoad, hosted: Hosted) -> Roofline:
    """Roofline of one step. Prefill pays for the weights that decode does not read anyway.

    Prefill: max(FLOPs/peak, (weights + the new tokens' cache)/peak bandwidth). Decode: linear
    FLOPs are 2·(N_active + h·V)·B, the rest of `work.decode_flops` is attention.
    """
    shape, param_bytes, element_bytes = hosted.shape, hosted.param_bytes, hosted.kv_element_bytes
    stages = hosted.peaks.stages  # one of them works at a time
    flops = hosted.peaks.flops_per_s / stages
    bandwidth = hosted.peaks.bandwidth_bytes_per_s / stages
    read = work.weight_bytes(shape, load.decode_seqs, param_bytes) if load.decode_seqs else 0.0
    prefill_s = 0.0
    if load.prefill_tokens:
        more = work.weight_bytes(shape, load.rows, param_bytes) - read
        more += work.kv_bytes_per_token(shape, element_bytes) * load.prefill_tokens
        prefill_s = max(work.prefill_flops(shape, load) / flops, more / bandwidth)
    per_row = work.active_params(shape) + shape.hidden * shape.vocab
    linear = 2.0 * per_row * load.decode_seqs
    return Roofline(
        prefill_s=prefill_s,
        weights_flops_s=linear / flops,
        kv_flops_s=(work.decode_flops(shape, load) - linear) / flops,
        weights_bytes_s=read / bandwidth,
        kv_bytes_s=work.decode_kv_bytes(shape, load, element_bytes) / bandwidth,
    )


def light_s(roof: Roofline, fitted_s: float) -> dict[str, float]:
    """Seconds by part, never more than `fitted_s` in all: prefill first, then weights, then KV.

    Of decode's FLOPs and bytes the longer rules.
    """
    parts = {
        "prefill": roof.prefill_s,
        "decode_weights": roof.weights_bytes_s,
        "decode_kv": roof.kv_bytes_s,
    }
    if roof.weights_flops_s + roof.kv_flops_s > roof.weights_bytes_s + roof.kv_bytes_s:
        parts |= {"decode_weights": roof.weights_flops_s, "decode_kv": roof.kv_flops_s}
    left_s = fitted_s
    for part, seconds in parts.items():
        parts[part] = max(min(seconds, left_s), 0.0)
        left_s -= parts[part]
    return parts


def margins_s(roof: Roofline, fitted_s: float) -> tuple[float, ...]:
    """The differences whose signs decide what `light_s` does; it is linear between their roots."""
    by_flops = roof.weights_flops_s + roof.kv_flops_s
    by_bytes = roof.weights_bytes_s + roof.kv_bytes_s
    left_s = fitted_s - roof.prefill_s
    return (
        by_flops - by_bytes,
        left_s,
        left_s - roof.weights_flops_s,
        left_s - roof.weights_bytes_s,
        left_s - by_flops,
        left_s - by_bytes,
    )

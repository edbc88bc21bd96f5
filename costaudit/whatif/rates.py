"""A step time as the numbers the scheduler computes with."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.target import work
from costaudit.target.load import StepLoad
from costaudit.whatif.form import columns
from costaudit.whatif.scheduler.state import Rates, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.whatif.scenario import Speculation
    from costaudit.whatif.steptime import StepTime

MANY = 1e9  # so many tokens, that what one adds can be read off without rounding


def rates_of(step_time: StepTime, speculation: Speculation | None) -> Rates:
    """Read off the columns of the form, which are linear in all but the routed experts."""
    cost, moe = step_time.coefficients, step_time.shape.experts
    rates = Rates(
        overhead_s=cost.get("overhead", 0.0),
        sequence_s=cost.get("sequences", 0.0),
        together_s=cost.get("together", 0.0),
        entry_s=cost.get("prompts", 0.0),
        weights_cost=cost.get("weights", 0.0),
        gemm_cost=cost.get("weights_gemm", 0.0),
        cache_cost=cost.get("kv", 0.0),
        decode_cost=cost.get("decode_compute", 0.0),
        prefill_cost=cost.get("prefill_compute", 0.0),
        attention_cost=cost.get("prefill_attention", 0.0),
        routed_miss_share=1.0 - moe.per_token / moe.count if moe else 0.0,
        stages=float(step_time.peaks.stages),
        ideal=float(step_time.ideal_kernels),
    )
    if speculation:
        rates.width = speculation.draft_tokens + 1.0
        rates.draft_share = speculation.draft_tokens * speculation.draft_cost_share
    _ideal_seconds(rates, step_time)
    return rates


def _ideal_seconds(rates: Rates, step_time: StepTime) -> None:
    """Seconds at the peaks, of one of each: what a load with one more of it adds."""
    hosted, shape, cost = step_time.hosted, step_time.shape, step_time.coefficients
    full = replace(hosted, shape=replace(shape, windows=()))

    def ask(**load: float) -> Mapping[str, float]:
        return columns(StepLoad(**load), full)

    nothing, crowd = ask(), ask(decode_seqs=MANY)
    rates.weights_s = crowd["weights"]
    rates.routed_weights_s = crowd["weights"] - nothing["weights"]
    row, long = ask(decode_seqs=1), ask(decode_seqs=1, decode_context_tokens=MANY)
    seen_s = (long["decode_compute"] - row["decode_compute"]) / MANY
    rates.seen_flops_s = seen_s / shape.layers
    rates.row_flops_s = row["decode_compute"] - seen_s
    written = work.kv_bytes_per_token(shape, hosted.kv_element_bytes)
    rates.cache_write_s = written / hosted.peaks.bandwidth_bytes_per_s * hosted.peaks.stages
    rates.cache_s = rates.cache_write_s / shape.layers
    rates.cache_copies = row["kv"] / rates.cache_write_s
    token = ask(prefill_tokens=1)["prefill_compute"]
    rates.prompt_token_s = token
    rates.prompt_s = (ask(prefill_tokens=1, prefill_seqs=MANY)["prefill_compute"] - token) / MANY
    pairs = ask(prefill_tokens=1, prefill_pairs=MANY)["prefill_attention"]
    rates.pair_s = pairs / (MANY * shape.layers)
    rates.link_row_s = cost.get("link", 0.0) * row["link"]
    rates.link_step_s = cost.get("link_latency", 0.0) * row["link_latency"]


def windows_of(step_time: StepTime) -> list[Window]:
    """Attention windows, inf where attention is full, and how many layers have each."""
    shape = step_time.shape
    counted = Counter(shape.windows) if shape.windows else {None: shape.layers}
    return [
        Window(tokens=math.inf if window is None else float(window), layers=float(layers))
        for window, layers in counted.items()
    ]

"""Single steps of an engine beside the measured peaks, and the rows that a recording tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.record.steps import once
from costaudit.target import work
from gpu.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from costaudit.record.engines.engine import LocalEngine, PreparedSteps

ELEMENT_BYTES = 2.0  # bfloat16, of weights and cache
MBU_BAR, MFU_BAR = 0.80, 0.60
BYTES_BARS = {"decode": 0.05, "prefill": 0.15}
ERROR_BAR = 0.04
RAMP_BAR_BYTES = 130 * 2**30
_REPEATS = 5


def single_steps(engine: LocalEngine, peaks: Mapping[str, float], prompt: int) -> Iterator[Row]:
    """Decode MBU at batch 1 and prefill MFU of one prompt; peaks of copies and GEMMs."""
    shape = engine.target.known_shape
    decode = engine.prepare_decode(seqs=1, context_tokens=512, steps=16)
    seconds = _best_s(engine, decode) / decode.steps
    moved = work.weight_bytes(shape, 1, ELEMENT_BYTES)
    moved += work.decode_kv_bytes(shape, decode.load, ELEMENT_BYTES)
    mbu = moved / seconds / peaks["peak_copy_bytes_per_s"]
    yield Row(what="decode MBU, batch 1, of the measured copy", value=mbu, low=MBU_BAR)
    prefill = engine.prepare_prefill(seqs=1, new_tokens=prompt, cached_tokens=0)
    flops = work.prefill_flops(shape, prefill.load)
    mfu = flops / (_best_s(engine, prefill) / prefill.steps) / peaks["peak_flops"]
    yield Row(what=f"prefill MFU, {prompt} tokens, of the GEMM", value=mfu, low=MFU_BAR)


def eight_prompts(engine: LocalEngine, tokens: int) -> Iterator[Row]:
    """One prompt against eight identical ones, computed together without a prefix cache."""
    one, eight = (
        _best_s(engine, engine.prepare_prefill(seqs=n, new_tokens=tokens, cached_tokens=0))
        for n in (1, 8)
    )
    yield Row(what=f"one prompt of {tokens} tokens", value=one, unit="s")
    yield Row(what="eight identical ones over one", value=eight / one, unit="x")


def long_prompt(engine: LocalEngine, tokens: int) -> Iterator[Row]:
    """One long prompt."""
    prepared = engine.prepare_prefill(seqs=1, new_tokens=tokens, cached_tokens=0)
    value = min(once(engine, prepared).seconds for _ in range(2))
    yield Row(what=f"prefill of {tokens} tokens", value=value, unit="s")


def of_audit(document: Mapping[str, Any]) -> Iterator[Row]:
    """What the recording's audit says: the step-time model, GPM beside the formula, the ramp."""
    fit = document["steptime"]
    points = fit.get("held_out_points")
    what = f"step time, median error on {points} held-out points"
    yield Row(what=what, value=fit["error_p50_share"], high=ERROR_BAR, why="no probe was held out")
    for phase, bar in BYTES_BARS.items():
        counters = document["phases"][phase].get("counters") or {}
        ratio = counters.get("traffic_over_formula")
        yield Row(
            what=f"{phase}: DRAM bytes by GPM over the formula's",
            value=ratio,
            unit="x",
            low=1 - bar,
            high=1 + bar,
            why=counters.get("why", "no span of this phase was read by GPM"),
        )
        yield Row(
            what=f"{phase}: throttled share of its span",
            value=max((counters.get("throttled_share") or {}).values(), default=None),
            why="the driver's counters gave no reasons",
        )
    most = max((stage["bytes"] for stage in document["kv_cache"].get("ramp", [])), default=None)
    why = "no ramp was run"
    yield Row(what="pressure ramp up to", value=most, unit="B", low=RAMP_BAR_BYTES, why=why)


def _best_s(engine: LocalEngine, prepared: PreparedSteps) -> float:
    once(engine, prepared)
    return min(once(engine, prepared).seconds for _ in range(_REPEATS))

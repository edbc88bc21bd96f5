"""A GPU's own counters over one homogeneous span per phase, and what they say of MBU.

Tiers of DRAM traffic, best first: T1 GPM, T1' DCGM, T2 bytes by formula. The energy counter (T3)
and `utilization.memory` (T4) are no bandwidth and never become an MBU.

The span repeats one step probe, not the workload, so its share of bandwidth is not the workload's.
What carries over is how many bytes really move per byte of the formula, which counts weights and KV
cache alone: MBU = MBU by formula × (counter / formula, of the same steps).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from costaudit.measure.metrics import Counters
from costaudit.measure.reading import is_number
from costaudit.recording.rows import Phase
from costaudit.target import work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.measure.metrics import PhaseMetrics
    from costaudit.measure.phases import Precision
    from costaudit.measure.reading import Reading
    from costaudit.measure.steps import TimedLoad
    from costaudit.target.load import StepLoad
    from costaudit.target.shape import ModelShape

MEASURED = {"T1": "GPM's DRAM counters", "T1'": "DCGM's DRAM activity"}
# Where counter and formula are worth a note. The counter divides by the theoretical bandwidth,
# which is a few percent above some datasheets; below 0.8 caches on the chip must have served reads.
# Activations are not in the formula: small beside the weights in decode, of their size in prefill.
FEWEST_TIMES = 0.8
MOST_TIMES = {Phase.PREFILL: 4.0, Phase.DECODE: 1.5}


def counters_of(
    reading: Reading,
    phase: Phase,
    steps: Sequence[TimedLoad],
    shape: ModelShape,
    precision: Precision,
) -> Counters | None:
    """The span of one phase; None where none was recorded (a CPU, or no driver)."""
    span = reading.table("span", phase)
    seen = span.get("reading")
    probe, count = span.get("probe"), _number(span, "steps")
    if not isinstance(seen, dict) or not isinstance(probe, str) or not count:
        return None
    load = next((s.load for s in steps if s.task == probe and s.phase is phase), None)
    tokens = load.prefill_tokens + load.decode_seqs if load else 0
    energy_j, dram_bytes = _number(seen, "energy_j"), _number(seen, "dram_bytes")
    formula = count * formula_bytes(shape, precision, load) if load else 0
    share = _share(seen, "bandwidth_share")
    tier = str(seen.get("bandwidth_tier"))
    return Counters(
        probe=probe,
        steps=int(count),
        seconds=_number(seen, "seconds") or 0.0,
        tier=tier if share is not None and tier in MEASURED else "T2",
        dram_share=share,
        dram_bytes=dram_bytes,
        traffic_over_formula=None if dram_bytes is None or not formula else dram_bytes / formula,
        sm_share=_share(seen, "sm_share"),
        tensor_share=_share(seen, "tensor_share"),
        energy_j_per_token=energy_j / (count * tokens) if energy_j and tokens else None,
        throttled_share=_shares(seen.get("throttled_share")),
        memory_accessed_share=_share(seen, "memory_accessed_share"),
        why=str(seen.get("why") or ""),
    )


def formula_bytes(shape: ModelShape, precision: Precision, load: StepLoad) -> float:
    """Bytes that one step must move: weights once, and the KV cache that it reads and writes.

    A prefill reads what is cached of each prompt and writes the rest.
    """
    element = precision.kv_element_bytes
    moved = work.weight_bytes(shape, load.rows, precision.param_bytes)
    moved += work.decode_kv_bytes(shape, load, element)
    if load.prefill_tokens:
        new = load.prefill_tokens / max(load.prefill_seqs, 1)
        cached = max(load.prefill_pairs / load.prefill_tokens - (new + 1) / 2, 0.0)
        moved += load.prefill_seqs * work.kv_bytes(shape, cached + new, element)
    return moved


def with_counters(metrics: PhaseMetrics, phase: Phase, counters: Counters | None) -> PhaseMetrics:
    """The metrics with MBU by the best tier; beside it what each tier says, and doubts."""
    analytic = metrics.mbu
    metrics = replace(metrics, mbu_analytic=analytic, counters=counters)
    if counters is None or counters.traffic_over_formula is None or counters.tier not in MEASURED:
        return metrics
    doubts = _doubts(phase, counters, counters.traffic_over_formula)
    measured = None if analytic is None else analytic * counters.traffic_over_formula
    if measured is None:
        return replace(metrics, doubts=doubts)
    if not 0 < measured <= 1:
        doubt = (
            f"{phase.capitalize()}: by the DRAM counter ({counters.tier}) MBU would be"
            f" {measured:.2f} of the measured peak; the formula's stands instead."
        )
        return replace(metrics, doubts=(*doubts, doubt))
    source = MEASURED[counters.tier]
    return replace(
        metrics,
        mbu=measured,
        mbu_measured=measured,
        doubts=doubts,
        bandwidth_tier=(
            f"{counters.tier}: bytes by formula times what {source} saw of them"
            f" ({counters.traffic_over_formula:.2f}) in {counters.probe}"
        ),
    )


def _doubts(phase: Phase, counters: Counters, times: float) -> tuple[str, ...]:
    if FEWEST_TIMES <= times <= MOST_TIMES[phase]:
        return ()
    why = (
        "caches on the chip served part of it, or the device's clock or the model's shape is not"
        " what was taken"
        if times < FEWEST_TIMES
        else "copies, activations, or another program on this device"
    )
    doubt = (
        f"{phase.capitalize()}: the DRAM counter ({counters.tier}) saw {times:.2f} times the bytes"
        f" that weights and KV cache of {counters.probe} make: {why}."
    )
    return (doubt,)


def _number(table: Mapping[str, Any], name: str) -> float | None:
    value = table.get(name)
    return float(value) if is_number(value) and value >= 0 else None


def _share(table: Mapping[str, Any], name: str) -> float | None:
    value = _number(table, name)
    return value if value is not None and value <= 1 else None


def _shares(table: object) -> dict[str, float]:
    if not isinstance(table, dict):
        return {}
    found = {str(name): _share(table, name) for name in table}
    return {name: share for name, share in found.items() if share is not None}

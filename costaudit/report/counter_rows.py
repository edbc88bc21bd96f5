"""What a GPU's own counters say of each phase, as rows; none for a device that has no counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.fact_rows import Fact, throttled

if TYPE_CHECKING:
    from collections.abc import Mapping


def counter_facts(phases: Mapping[str, Any]) -> list[Fact]:
    """Prefill's rows, then decode's: only what was recorded."""
    return [
        fact
        for name, key in (("Prefill", "prefill"), ("Decode", "decode"))
        if (seen := phases[key].get("counters")) is not None
        for fact in _of_phase(name, phases[key], seen)
    ]


def _of_phase(name: str, phase: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Fact]:
    span = f"{figures.duration(seen['seconds'])} of {seen['probe']}"
    facts = [_mbu(name, phase, seen)]
    if "dram_share" in seen:
        times = seen.get("traffic_over_formula")
        over = "" if times is None else f", {figures.significant(times)} times the formula's bytes"
        text = f"{figures.percent(seen['dram_share'])} of the theoretical bandwidth"
        note = f"{seen['tier']} over {span}{over}"
        facts.append(Fact(label=f"{name} DRAM traffic", text=text, note=note))
    for key, what in (("sm_share", "SMs busy"), ("tensor_share", "tensor cores busy")):
        if key in seen:
            facts.append(Fact(label=f"{name} {what}", text=figures.percent(seen[key]), note="GPM"))
    if "energy_j_per_token" in seen:
        text = figures.significant(seen["energy_j_per_token"], " J per token")
        facts.append(Fact(label=f"{name} energy", text=text, note=f"T3 over {span}"))
    if "throttled_share" in seen:
        text, note = throttled(seen["throttled_share"]), "of the span's time, by reason"
        facts.append(Fact(label=f"{name} throttled", text=text, note=note))
    if "memory_accessed_share" in seen:
        text = f"{figures.percent(seen['memory_accessed_share'])} of the time"
        note = "T4, utilization.memory: memory touched at all; this is not bandwidth"
        facts.append(Fact(label=f"{name} memory accessed", text=text, note=note))
    return facts


def _mbu(name: str, phase: Mapping[str, Any], seen: Mapping[str, Any]) -> Fact:
    note = phase.get("bandwidth_tier", "")
    if "mbu_measured" in phase and phase.get("mbu_analytic") is not None:
        note += f"; by formula alone {figures.percent(phase['mbu_analytic'])}"
    elif seen["why"]:
        note += f"; no better tier: {seen['why']}"
    return Fact(label=f"{name} MBU", text=figures.percent(phase["mbu"]), note=note)

"""Where the numbers come from: instruments, versions, and what the reader should bear in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import costaudit
from costaudit.measure.counters import MEASURED

if TYPE_CHECKING:
    from costaudit.measure.metrics import Metrics
    from costaudit.recording.recording import Recording
    from costaudit.target.target import Target
    from costaudit.whatif.steptime import StepTime


def instruments_section(recording: Recording) -> list[dict[str, str]]:
    """The latest state of every instrument."""
    return [
        {"meter": i.meter, "state": str(i.state), "tier": i.tier, "why": i.why}
        for i in recording.instruments().values()
    ]


ENERGY_TIER = "T3: the device's energy counter over the span"
ACCESSED_TIER = "T4: share of time in which memory was touched at all; this is not bandwidth"


def provenance_section(
    recording: Recording, target: Target, metrics: Metrics | None = None
) -> dict[str, Any]:
    """Versions, the day and the file of a recording; with `metrics` the tier of each figure."""
    meta = recording.meta()
    versions = recording.facts().get("versions", {})
    section = {
        "costaudit_version": str(meta.get("costaudit") or costaudit.__version__),
        "created_utc": str(meta.get("created", "")),
        "recording": recording.path.name,
        "weights": target.weights,
    }
    for package in ("python", "torch", "transformers"):
        if package in versions and versions[package].value is not None:
            section[package] = str(versions[package].value)
    return section if metrics is None else section | {"tiers": figure_tiers(metrics)}


def figure_tiers(metrics: Metrics) -> dict[str, str]:
    """By path in the document, the tier of the instrument behind a figure and what that is."""
    tiers = {}
    for phase, seen in (("prefill", metrics.prefill), ("decode", metrics.decode)):
        path, counters = f"phases.{phase}", seen.counters
        if seen.mbu is not None:
            tiers[f"{path}.mbu"] = seen.bandwidth_tier
        if counters is None:
            continue
        own = {
            "dram_share": (counters.dram_share, f"{counters.tier}: {MEASURED.get(counters.tier)}"),
            "energy_j_per_token": (counters.energy_j_per_token, ENERGY_TIER),
            "memory_accessed_share": (counters.memory_accessed_share, ACCESSED_TIER),
        }
        for name, (value, tier) in own.items():
            if value is not None:
                tiers[f"{path}.counters.{name}"] = tier
    return tiers


def notes(recording: Recording, metrics: Metrics, step_time: StepTime) -> list[str]:
    """What the reader should bear in mind."""
    said = []
    if metrics.device.kind == "cpu":
        said.append(
            "Measured on one CPU thread by its own CPU time; the device of this audit is one core."
        )
    said += [*metrics.prefill.doubts, *metrics.decode.doubts]
    said += step_time.notes
    said += [f"While {place}: {message}" for _, place, message in recording.troubles()]
    return said

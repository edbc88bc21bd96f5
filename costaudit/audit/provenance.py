"""Where the numbers come from: instruments, versions, and what the reader should bear in mind."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import costaudit
from costaudit.measure.counters import MEASURED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.measure.metrics import Metrics
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import RequestRow
    from costaudit.target.target import Target
    from costaudit.whatif.steptime import StepTime


# T1 to T4 rank what tells of DRAM traffic; what else the instruments are worth.
OTHER_TIERS = {
    "host": "the kernel's own counters",
    "neighbours": "the kernel's own counters",
    "nvml": "the driver: see its channels",
    "nvtx": "marks for a profiler, no figures",
    "torch.memory": "the allocator's own account",
    "server": "as the server tells of itself",
}


def instruments_section(recording: Recording) -> list[dict[str, str]]:
    """The latest state of every instrument, and the tier of what it reads."""
    return [
        {
            "meter": i.meter,
            "state": str(i.state),
            "tier": i.tier or OTHER_TIERS.get(i.meter, "no tier: tells nothing of DRAM traffic"),
            "why": i.why,
        }
        for i in recording.instruments().values()
    ]


ENERGY_TIER = "T3: the device's energy counter over the span"
ACCESSED_TIER = "T4: share of time in which memory was touched at all; this is not bandwidth"


def provenance_section(
    recording: Recording,
    target: Target,
    metrics: Metrics | None = None,
    requests: Sequence[RequestRow] = (),
) -> dict[str, Any]:
    """Versions, the day and the file of a recording; with `metrics` the tier of each figure.

    `requests` are those that were simulated.
    """
    meta = recording.meta()
    command = str(meta.get("command") or "")
    versions = recording.facts().get("versions", {})
    section = {
        "costaudit_version": str(meta.get("costaudit") or costaudit.__version__),
        "created_utc": str(meta.get("created", "")),
        "command": command or None,
        "recording": recording.path.name,
        "weights": target.weights or None,
    }
    for package in ("python", "torch", "transformers"):
        if package in versions and versions[package].value is not None:
            section[package] = str(versions[package].value)
    section |= _trace(recording)
    if metrics is None:
        return section
    return section | {
        "requests_sha256": sha256(requests),
        "tiers": figure_tiers(metrics),
    }


def sha256(requests: Sequence[RequestRow]) -> str:
    """Of one line per request, its prompt and its output tokens with a space between."""
    lines = (f"{row.prompt_tokens} {row.output_tokens}\n" for row in requests)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _trace(recording: Recording) -> dict[str, Any]:
    """The log of requests that was replayed in an open loop, where there was one."""
    about = recording.facts().get("open loop", {}).get("about")
    told = about.value if about is not None and isinstance(about.value, dict) else {}
    return {name: str(told[name]) for name in ("trace", "trace_sha256") if told.get(name)}


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

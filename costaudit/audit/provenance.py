"""Where the numbers come from: instruments, versions, and what the reader should bear in mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import costaudit

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


def provenance_section(recording: Recording, target: Target) -> dict[str, Any]:
    """Versions, the day and the file of a recording."""
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
    return section


def notes(recording: Recording, metrics: Metrics, step_time: StepTime) -> list[str]:
    """What the reader should bear in mind."""
    said = []
    if metrics.device.kind == "cpu":
        said.append(
            "Measured on one CPU thread by its own CPU time; the device of this audit is one core."
        )
    said += step_time.notes
    said += [f"While {place}: {message}" for _, place, message in recording.troubles()]
    return said

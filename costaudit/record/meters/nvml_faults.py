"""What an NVML error means for an instrument: absent, refused, or lost in mid-run."""

from __future__ import annotations

from typing import Any

from costaudit.recording.rows import State


def fault(nvml: Any, err: Any, what: str, *, worked: bool = False) -> tuple[State, str]:
    """State and reason for an NVMLError; `worked` tells that the instrument was fine before."""
    refused = (nvml.NVML_ERROR_NO_PERMISSION, nvml.NVML_ERROR_OPERATING_SYSTEM)
    why = f"{what}: {err} (NVML {err.value})"
    if worked:
        return State.LOST, why
    return (State.REFUSED if err.value in refused else State.ABSENT), why

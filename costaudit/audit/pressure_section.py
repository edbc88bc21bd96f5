"""The document's part on KV pressure: the ramp, its knee, the room above the audited traffic."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costaudit.measure.pressure import Pressure, PressureRung


def pressure_section(pressure: Pressure) -> dict[str, Any]:
    """What the ramp found; what a server does not tell is left out, not null."""
    section: dict[str, Any] = {
        "ended": pressure.ended,
        "audited_streams": pressure.audited_streams,
        "spared_streams": pressure.spared_streams,
        "full_streams": pressure.full_streams,
        "rungs": [_rung(rung) for rung in pressure.rungs],
    }
    if pressure.knee is not None:
        section["knee"] = _rung(pressure.knee)
    return _known({**section, **_headroom(pressure)})


def _headroom(pressure: Pressure) -> dict[str, Any]:
    """Streams over the audited ones: `low` ran without want of blocks, `high` did not."""
    now = pressure.audited_streams
    room = {
        "low": None if pressure.spared_streams is None else pressure.spared_streams / now,
        "high": None if pressure.full_streams is None else pressure.full_streams / now,
    }
    return {"headroom_factor": _known(room)} if _known(room) else {}


def _rung(rung: PressureRung) -> dict[str, Any]:
    told = asdict(rung)
    again = told.pop("recomputed_tokens")
    if again is not None:
        told["recomputed_tokens"] = {"low": again[0], "high": again[1]}
    return _known({name: value for name, value in told.items() if value != ""})


def _known(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}

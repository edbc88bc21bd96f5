"""What an imported capture shows, as rows; nothing for an audit of any other kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.fact_rows import Fact, Grid

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = 20  # ranges; the document holds a hundred
_NO_PHASE = "—"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What was captured, and whose it is."""

    facts: list[Fact]
    ranges: Grid


def capture_verdict(document: Mapping[str, Any]) -> str:
    """One sentence in the place of a bill's; "" for any other audit."""
    seen = document.get("capture")
    if seen is None:
        return ""
    parts = [
        f"{figures.percent(device_s / seen['busy_s'])} of it {name}"
        for name in ("prefill", "decode")
        if (device_s := document["phases"][name].get("device_s")) is not None
    ]
    busy = figures.percent(seen["busy_s"] / seen["window_s"])
    lost = figures.percent(_unattributed_s(seen) / seen["busy_s"])
    phases = "".join(f", {part}" for part in parts)
    return f"Devices were busy {busy} of the captured time{phases}; {lost} could not be attributed."


def capture(document: Mapping[str, Any]) -> Capture | None:
    """The captured window and its ranges; None for any other audit."""
    seen = document.get("capture")
    return None if seen is None else Capture(facts=_facts(seen), ranges=_grid(seen))


def _facts(seen: Mapping[str, Any]) -> list[Fact]:
    """The captured window and how much of its device time has an owner."""
    busy = seen["busy_s"]
    facts = [
        Fact(label="Captured", text=f"{figures.duration(seen['window_s'])} of devices"),
        Fact(
            label="Busy",
            text=figures.duration(busy),
            note=f"{figures.percent(busy / seen['window_s'])}; streams that overlap count once",
        ),
        Fact(
            label="Not attributed",
            text=figures.percent(_unattributed_s(seen) / busy),
            note=f"launch not in the capture {figures.percent(seen['no_call_s'] / busy)}, "
            f"outside any range {figures.percent(seen['no_range_s'] / busy)}",
        ),
    ]
    if seen["graph_replays"]:
        facts.append(Fact(label="Replays of graphs", text=figures.count(seen["graph_replays"])))
    return facts


def _grid(seen: Mapping[str, Any]) -> Grid:
    """Device time by range, the longest first."""
    return Grid(
        columns=("phase", "operations", "device time", "share", "range"),
        rows=tuple(
            (
                row["phase"] or _NO_PHASE,
                figures.count(row["operations"]),
                figures.duration(row["device_s"]),
                figures.percent(row["device_s"] / seen["busy_s"]),
                row["range"],
            )
            for row in seen["ranges"][:_SHOWN]
        ),
    )


def _unattributed_s(seen: Mapping[str, Any]) -> float:
    return float(seen["no_call_s"] + seen["no_range_s"])

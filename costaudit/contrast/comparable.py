"""Whether two sides may be compared by the clock, and what else differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.contrast.sides import common_units
from costaudit.ground.stats import mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.contrast.observation import Observation

CLOCK_DRIFT = 0.05  # a median SM clock this far off is another power or thermal state
_WORDS = {
    "device": "another device",
    "devices": "another number of devices",
    "driver": "another driver",
    "model": "another model (shape, precision or weights' type)",
    "workload": "another workload",
    "scale": "lengths scaled by another factor",
    "streams": "another batch size or concurrency",
}


def differences(
    base: Sequence[Observation],
    new: Sequence[Observation],
    *,
    expected: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Why times of the two sides decide nothing about each other; empty where they do.

    `expected` names parts of the environment that are meant to differ ("model", "device", …).
    """
    found = []
    for name, words in _WORDS.items():
        before, after = _values(base, name), _values(new, name)
        if before != after and name not in expected:
            found.append(f"{words}: {_list(before)} before, {_list(after)} now")
    if {o.clock for o in base} != {o.clock for o in new}:
        found.append("times were taken by another clock")
    if drift := _clock_drift(base, new):
        found.append(drift)
    if not common_units(*base, *new):
        found.append("they ran other requests, so no batch of one is a batch of the other")
    return tuple(found)


def software_changes(base: Sequence[Observation], new: Sequence[Observation]) -> tuple[str, ...]:
    """Versions and knobs that differ: what a change may be made of."""
    before, after = _software(base), _software(new)
    return tuple(
        f"{name}: {before.get(name, 'none')} before, {after.get(name, 'none')} now"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def _values(side: Sequence[Observation], name: str) -> frozenset[str]:
    return frozenset(o.environment.get(name, "") for o in side)


def _software(side: Sequence[Observation]) -> Mapping[str, str]:
    return side[-1].software


def _clock_drift(base: Sequence[Observation], new: Sequence[Observation]) -> str:
    before = [o.sm_clock_hz for o in base if o.sm_clock_hz]
    after = [o.sm_clock_hz for o in new if o.sm_clock_hz]
    if not before or not after:
        return ""
    old, late = mean(before), mean(after)
    if abs(late / old - 1) <= CLOCK_DRIFT:
        return ""
    return f"other clocks: the GPU ran at {old / 1e6:.0f} MHz before, {late / 1e6:.0f} MHz now"


def _list(values: frozenset[str]) -> str:
    return ", ".join(sorted(v or "unknown" for v in values))

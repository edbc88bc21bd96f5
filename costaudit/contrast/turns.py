"""Two servers recorded next to each other, again and again: each pair is one draw."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.contrast.observe import observe
from costaudit.contrast.sides import TIMINGS, common_units
from costaudit.record.options import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from costaudit.contrast.observation import Observation
    from costaudit.record.options import Listener
    from costaudit.record.probing.options import ServerOptions

Pair = tuple["Observation", "Observation"]  # base, new


def recorded_pairs(
    base: ServerOptions, new: ServerOptions, *, pairs: int, folder: Path, progress: Listener
) -> list[Pair]:
    """Pairs of recordings in `folder`, the order turned from pair to pair: A-B-B-A.

    Each recording takes the place of the last one of its side; the paths of the options are not
    looked at.

    Raises:
        CostauditError: as `record_server` and `observe` word it.
    """
    from costaudit.record.probing.profile import record_server

    found = []
    for number in range(pairs):
        told = f"pair {number + 1} of {pairs}"
        progress(Progress(fraction=number / pairs, label=told, seconds_left=None))
        seen: dict[str, Observation] = {}
        for side in ("new", "base") if number % 2 else ("base", "new"):
            path = folder / f"{side}.costaudit"
            for old in folder.glob(f"{side}.costaudit*"):
                old.unlink()
            options = replace(base if side == "base" else new, path=path)
            record_server(options, progress=lambda _: None)
            seen[side] = observe(path)
        found.append((seen["base"], seen["new"]))
    return found


def pair_logs(pairs: Sequence[Pair]) -> Mapping[str, list[float]]:
    """ln(new / base), positive is worse, of each timing that every pair can tell."""
    logs = {
        metric: [found for pair in pairs if (found := _log(pair, metric)) is not None]
        for metric in TIMINGS
    }
    return {metric: rows for metric, rows in logs.items() if len(rows) == len(pairs)}


def _log(pair: Pair, metric: str) -> float | None:
    timing, keys = TIMINGS[metric], common_units(*pair)
    base, new = (timing.read(side, keys) for side in pair)
    if not base or not new:
        return None
    return timing.worse * math.log(new / base)

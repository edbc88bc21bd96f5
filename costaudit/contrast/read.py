"""Observations of whatever a side was given as: recordings, or files that hold observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.contrast.observe import observe
from costaudit.contrast.stored import is_baseline, read_baseline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from costaudit.contrast.observation import Observation


def observations(paths: Sequence[Path], *, price: float | None) -> tuple[Observation, ...]:
    """Of each recording, and all of each baseline file.

    Raises:
        CostauditError: a file is neither.
    """
    found: list[Observation] = []
    for path in paths:
        if is_baseline(path):
            found += read_baseline(path)
        else:
            found.append(observe(path, usd_per_device_h=price))
    return tuple(found)

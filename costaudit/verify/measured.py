"""What was measured after a change, whichever way it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.contrast.change import Change
    from costaudit.measure.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Changes against the unchanged target.

    Attributes:
        changes: by metric, of `contrast.sides.TIMINGS`; a missing one could not be told.
        how: how it was measured, in words.
        refused: why the two sides cannot be compared; "" where they can.
        after: what the changed server tells of itself; None of a model in this process.
        absent: why a metric is missing, by metric.
        notes: what a reader should know.
    """

    changes: Mapping[str, Change]
    how: str
    refused: str = ""
    after: Metrics | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

"""Everything that differs between two sides, with intervals; no budget, no verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from costaudit.contrast.change import Change, chance, high, holm, low, noise
from costaudit.contrast.comparable import differences, software_changes
from costaudit.contrast.counters import COUNTERS
from costaudit.contrast.sides import PRIMARY, TIMINGS, change_between
from costaudit.contrast.split import split
from costaudit.ground.stats import mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.contrast.observation import Observation
    from costaudit.contrast.split import Split

SCHEMA = "costaudit.compare/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A timing metric: its change and the level at which it was looked at."""

    metric: str
    change: Change
    alpha: float

    @property
    def real(self) -> bool:
        """Whether chance and disturbances alone do not make such a change."""
        return low(self.change, self.alpha) > 0 or high(self.change, self.alpha) < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides.

    Attributes:
        before, after: names of the recordings.
        lines: of the timings that both sides have; the first is the primary one.
        counters: by metric, mean before and after; None where a side did not record it.
        split: what a difference in money is made of.
        differences: why times decide nothing; empty where they do.
        software: versions and knobs that differ.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    lines: tuple[Line, ...]
    counters: Mapping[str, tuple[float | None, float | None]]
    split: Split
    differences: tuple[str, ...]
    software: tuple[str, ...]


def compare(base: Sequence[Observation], new: Sequence[Observation]) -> Comparison:
    """Hold one side against the other."""
    wanted = [PRIMARY[0], *(name for name in TIMINGS if name not in PRIMARY)]
    found = {name: change_between(base, new, name) for name in wanted}
    known = {name: change for name, change in found.items() if change is not None}
    # Two-sided: half the level for each direction.
    chances = [min(chance(c), chance(_turned(c))) for c in known.values()]
    first = PRIMARY[0] in known
    levels = [0.005, *holm(chances[1:], 0.005)] if first else holm(chances, 0.005)
    return Comparison(
        before=tuple(o.name for o in base),
        after=tuple(o.name for o in new),
        lines=tuple(
            Line(metric=name, change=change, alpha=level)
            for (name, change), level in zip(known.items(), levels, strict=True)
        ),
        counters={
            name: pair
            for name in COUNTERS
            if (pair := (_mean(base, name), _mean(new, name))) != (None, None)
        },
        split=split(base, new),
        differences=differences(base, new),
        software=software_changes(base, new),
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison for a machine."""
    return {
        "schema": SCHEMA,
        "before": list(comparison.before),
        "after": list(comparison.after),
        "comparable": not comparison.differences,
        "differences": list(comparison.differences),
        "changes": [
            {
                "metric": line.metric,
                "share": line.change.share,
                "low_share": _finite(low(line.change, line.alpha)),
                "high_share": _finite(high(line.change, line.alpha)),
                "noise_share": _finite(noise(line.change, line.alpha)),
                "real": line.real,
                "alpha": line.alpha,
                "origin": line.change.origin,
            }
            for line in comparison.lines
        ],
        "counters": {
            name: {"before": before, "after": after}
            for name, (before, after) in comparison.counters.items()
        },
        "split": asdict(comparison.split) | {"whole": comparison.split.whole},
        "software": list(comparison.software),
    }


def _turned(change: Change) -> Change:
    return Change(
        log=-change.log,
        error=change.error,
        freedom=change.freedom,
        shown=change.hidden,
        hidden=change.shown,
    )


def _mean(side: Sequence[Observation], name: str) -> float | None:
    known = [o.counters[name] for o in side if name in o.counters]
    return mean(known) if len(known) == len(side) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""Predicts the runs of one tensor-parallel degree, precision or batch size from all others."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.kriging import arrays_of, covariance, predict
from serving.rivals import product_s, roofline_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from serving.kriging import Constants
    from serving.table import Run

MIN_MEASURED = 6  # runs to predict from, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is left out: runs that share `one` value, of those with the same `same`."""

    name: str
    same: Callable[[Run], str]
    one: Callable[[Run], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A run that nobody measured for the prediction; seconds per output token by method."""

    run: Run
    seconds: Mapping[str, float]

    def error_share(self, method: str) -> float:
        """How far off, relative to what was measured."""
        return abs(self.seconds[method] / self.run.seconds - 1)


def _but_precision(run: Run) -> str:
    return run.group.rpartition(" | ")[0]


KINDS = (
    Kind(
        name="tensor-parallel degree",
        same=lambda run: run.group,
        one=lambda run: run.labels[-1],
    ),
    Kind(
        name="precision",
        same=_but_precision,
        one=lambda run: run.group,
    ),
    Kind(
        name="batch size",
        same=lambda run: run.group,
        one=lambda run: f"{run.place[0]:.6f}",
    ),
)


def guesses(kind: Kind, runs: Sequence[Run], known: Constants) -> list[Guess]:
    """Every run that can be left out with its like, and predicted from the rest of its group."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[kind.same(run)].append(run)
    return [guess for group in groups.values() for guess in _of_group(kind, group, known)]


def _of_group(kind: Kind, group: Sequence[Run], known: Constants) -> Iterator[Guess]:
    values = np.array([kind.one(run) for run in group])
    arrays = arrays_of(group, known.columns)
    spread, light = covariance(known, arrays), roofline_s(group)
    for value in np.unique(values):
        measured, left = np.flatnonzero(values != value), np.flatnonzero(values == value)
        if len(measured) < MIN_MEASURED:
            continue
        by_method = {
            "calibrated": predict(known, arrays, spread, measured),
            "product": product_s(group, measured),
            "roofline": light,
        }
        for place in left.tolist():
            yield Guess(
                run=group[place],
                seconds={name: float(found[place]) for name, found in by_method.items()},
            )

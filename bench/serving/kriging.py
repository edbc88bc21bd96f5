"""Predicts a run from a few others of its group: the bounded fit, then kriging of what it leaves.

The physical columns are fitted by `costaudit.whatif.solve`, as in the product, with beliefs learned
from other groups. What is left (kernels that like some shapes, software versions, layouts) is
smooth over load and shared by runs of one software and layout; a Gaussian process with constants
learned from other groups describes it and corrects the prediction. Multiplied in as an exponential,
the correction keeps every prediction positive. The fit knows the size of what is left, against the
widths of its beliefs, but not that it is correlated: predictions that are all too small are alike
too, each off by all of it, and whitened by a covariance they would pass for a good fit.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from costaudit.whatif.solve import Belief, solve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from serving.table import Run

    Floats = NDArray[np.float64]

SMOOTH = 3.0**0.5  # of the Matérn covariance with one derivative
TINY = 1e-6  # keeps a square root differentiable at zero
# What a borrowed shape may be wrong by (natural logarithm), beside all else.
BORROWED = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Learned by `serving.learn` from groups of other models and devices.

    Arrays are logarithms of positive numbers, so that they can be learned without bounds.

    Attributes:
        columns: names of the physical columns, in the order of the arrays below.
        centre: usual coefficient of each column.
        width: its relative spread from group to group.
        cell: its relative spread from one software and layout to another inside a group.
        offset: spread of a group as a whole.
        rough_size, rough_length, rough_label: a field without derivative; lengths in doublings of
            `Run.place`, and the cost of each differing label.
        smooth_size, smooth_length, smooth_label: one with a derivative, likewise.
        label_size: spread that runs with one label in common share, by label.
        alike_size: spread that runs share that have all labels in common.
        noise: spread of a repeated measurement.
    """

    columns: tuple[str, ...]
    centre: Any
    width: Any
    cell: Any
    offset: Any
    rough_size: Any
    rough_length: Any
    rough_label: Any
    smooth_size: Any
    smooth_length: Any
    smooth_label: Any
    label_size: Any
    alike_size: Any
    noise: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """Runs as arrays: columns, places, labels as whole numbers, and seconds."""

    columns: Any
    place: Any
    labels: Any
    seconds: Any
    borrowed: bool


def read_constants(path: Path) -> Constants:
    """The constants of a JSON file."""
    raw = json.loads(path.read_text(encoding="utf-8"))["constants"]
    names = tuple(raw.pop("columns"))
    return Constants(columns=names, **{name: np.asarray(value) for name, value in raw.items()})


def learned_from(path: Path) -> str:
    """Fingerprint of the table that the constants of a JSON file were learned from."""
    return str(json.loads(path.read_text(encoding="utf-8")).get("table_sha256", ""))


def fingerprint(table: Path) -> str:
    """SHA-256 of a table."""
    return hashlib.sha256(table.read_bytes()).hexdigest()


def arrays_of(runs: Sequence[Run], names: Sequence[str]) -> Arrays:
    """The runs of one group as arrays."""
    labels = np.array([run.labels for run in runs])
    codes = [np.unique(column, return_inverse=True)[1] for column in labels.T]
    return Arrays(
        columns=np.array([[run.columns[name] for name in names] for run in runs]),
        place=np.array([run.place for run in runs]),
        labels=np.stack(codes, axis=1),
        seconds=np.array([run.seconds for run in runs]),
        borrowed=runs[0].borrowed,
    )


def shares_of(known: Constants, runs: Arrays, xp: Any = np) -> tuple[Any, Any]:
    """Prior seconds of each run, and the share of each column in them."""
    parts = runs.columns * xp.exp(known.centre)
    seconds = parts.sum(-1)
    return seconds, parts / seconds[:, None]


def covariance(known: Constants, runs: Arrays, xp: Any = np) -> Any:
    """Covariance of the logarithms of measured over physical seconds, without noise.

    Written for numpy and torch alike (`xp`), so that what is learned is what is used.
    """
    shares = shares_of(known, runs, xp)[1]
    apart = (runs.place[:, None, :] - runs.place[None, :, :]) ** 2
    differ = (runs.labels[:, None, :] != runs.labels[None, :, :]) * 1.0
    one_cell = (differ[..., :3].sum(-1) == 0) * 1.0
    total = xp.exp(2 * known.offset) + (BORROWED**2 if runs.borrowed else 0.0)
    total = total + one_cell * ((shares * xp.exp(2 * known.cell)) @ shares.T)
    rough = xp.sqrt((apart * xp.exp(-2 * known.rough_length)).sum(-1) + TINY)
    rough = rough + (differ * xp.exp(known.rough_label)).sum(-1)
    total = total + xp.exp(2 * known.rough_size) * xp.exp(-rough)
    smooth = SMOOTH * xp.sqrt((apart * xp.exp(-2 * known.smooth_length)).sum(-1) + TINY)
    unlike = (differ * xp.exp(known.smooth_label)).sum(-1)
    field = (1 + smooth) * xp.exp(-smooth - unlike)
    total = total + xp.exp(2 * known.smooth_size) * field
    total = total + ((1.0 - differ) * xp.exp(2 * known.label_size)).sum(-1)
    return total + xp.exp(2 * known.alike_size) * ((differ.sum(-1) == 0) * 1.0)


def predict(known: Constants, runs: Arrays, spread: Floats, probes: NDArray[np.intp]) -> Floats:
    """Seconds of all runs of a group, of which those at `probes` were measured.

    `spread` is the group's `covariance`. Without probes this is what other groups teach.
    """
    if not len(probes):
        return np.asarray(shares_of(known, runs)[0])
    measured = runs.seconds[probes]
    between = spread[np.ix_(probes, probes)] + np.exp(2 * known.noise) * np.eye(len(probes))
    beliefs = beliefs_of(known)
    fitted = solve(
        [dict(zip(known.columns, row, strict=True)) for row in runs.columns[probes]],
        list(measured),
        beliefs,
        strength=float(np.sqrt(np.mean(np.diag(between)) / len(probes))),
        draws=0,
    )
    physical = runs.columns @ np.array([fitted.coefficients[name] for name in known.columns])
    left = np.log(measured / physical[probes])
    return np.asarray(physical * np.exp(spread[:, probes] @ np.linalg.solve(between, left)))


def beliefs_of(known: Constants) -> Mapping[str, Belief]:
    """What the constants say of each coefficient before any probe."""
    centres = np.exp(known.centre)
    return {
        name: Belief(centre=float(centre), width=float(centre * width))
        for name, centre, width in zip(known.columns, centres, np.exp(known.width), strict=True)
    }

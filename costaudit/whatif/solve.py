"""Bounded least squares with a physical prior, and draws of what else would fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DRAWS = 24
NOISE_FLOOR_SHARE = 0.01  # no stopwatch on a shared machine repeats better than this


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What is held of one coefficient before any probe: centre and width, in its own unit."""

    centre: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Coefficients by column, draws from their posterior, and the spread of the fit."""

    coefficients: Mapping[str, float]
    draws: tuple[Mapping[str, float], ...]
    noise_share: float  # standard deviation of the relative residuals


def solve(
    rows: Sequence[Mapping[str, float]],
    seconds: Sequence[float],
    beliefs: Mapping[str, Belief],
    *,
    strength: float,
    draws: int = DRAWS,
    seed: int = 0,
    covariance: Floats | None = None,
) -> Solution:
    """Minimise ‖A·x/t - 1‖² + K·strength²·‖(x - centre)/width‖² over x ≥ 0.

    `rows[i]` holds the columns of probe i, `seconds[i]` its measured time t; K is their number.
    Dividing by t makes every residual relative. The prior enters as further rows, so one bounded
    least-squares problem does it all. Each draw solves it again with noise of the size of the
    residuals on every right-hand side (randomise, then optimise): exact for a Gaussian
    posterior, and never negative. Where the relative residuals are known to be correlated,
    `covariance` (K by K) says so, and the residuals are whitened by it first.
    """
    import numpy as np
    from scipy.optimize import nnls

    names = list(beliefs)
    times = np.asarray(seconds, dtype=np.float64)
    data = np.array([[row[name] for name in names] for row in rows]) / times[:, None]
    ones = np.ones(len(times))
    if covariance is not None:
        whiten = np.linalg.inv(np.linalg.cholesky(covariance))
        data, ones = whiten @ data, whiten @ ones
    width = np.array([beliefs[name].width for name in names])
    centre = np.array([beliefs[name].centre for name in names])
    pull = strength * np.sqrt(len(times))
    # In units of its width every coefficient is of order one, which keeps the system well scaled.
    system = np.vstack([data * width, pull * np.eye(len(names))])
    aim = np.concatenate([ones, pull * centre / width])
    best = nnls(system, aim)[0]
    noise = _noise_share(data * width, ones, pull, best)
    generator = np.random.default_rng(seed)
    shaken = [
        nnls(system, aim + noise * generator.standard_normal(len(aim)))[0] for _ in range(draws)
    ]
    return Solution(
        coefficients=_named(names, best * width),
        draws=tuple(_named(names, draw * width) for draw in shaken),
        noise_share=noise,
    )


def _noise_share(data: Floats, ones: Floats, pull: float, best: Floats) -> float:
    """Residual spread; each coefficient that is not at zero uses up (part of) a probe."""
    import numpy as np

    free = data[:, best > 0]
    gram = free.T @ free
    used = np.trace(np.linalg.solve(gram + pull**2 * np.eye(len(gram)), gram))
    left = max(len(data) - float(used), 1.0)
    residual = data @ best - ones
    return max(float(np.sqrt(residual @ residual / left)), NOISE_FLOOR_SHARE)


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))

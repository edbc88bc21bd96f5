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
) -> Solution:
    """Minimise ‖A·x/t - 1‖² + K·strength²·‖(x - centre)/width‖² over x ≥ 0.

    `rows[i]` holds the columns of probe i, `seconds[i]` its measured time t; K is their number.
    Dividing by t makes every residual relative. The prior enters as further rows, so one bounded
    least-squares problem does it all. Each draw solves it again with noise of the size of the
    residuals on every right-hand side (randomise, then optimise): exact for a Gaussian
    posterior, and never negative.
    """
    import numpy as np
    from scipy.optimize import nnls

    names = list(beliefs)
    width = np.array([beliefs[name].width for name in names])
    centre = np.array([beliefs[name].centre for name in names])
    # In units of its width every coefficient is of order one: a well scaled system.
    values = np.array([[row[n] for n in names] for row in rows])
    data = values / np.asarray(seconds, dtype=np.float64)[:, None] * width
    ones, pull = np.ones(len(data)), strength * np.sqrt(len(data))
    system = np.vstack([data, pull * np.eye(len(names))])
    aim = np.concatenate([ones, pull * centre / width])
    best = nnls(system, aim)[0]
    noise = _noise_share(data, ones, pull, best)
    generator = np.random.default_rng(seed)
    aims = (aim + noise * generator.standard_normal(len(aim)) for _ in range(draws))
    return Solution(
        coefficients=_named(names, best * width),
        draws=tuple(_named(names, nnls(system, shaken)[0] * width) for shaken in aims),
        noise_share=noise,
    )


def load_solver() -> None:
    """Import what solves the bounded least squares; it takes half a second."""
    import scipy.optimize  # noqa: F401


def _noise_share(data: Floats, ones: Floats, pull: float, best: Floats) -> float:
    """Residual spread; each coefficient that is not at zero uses up (part of) a probe."""
    import numpy as np

    free = data[:, best > 0]
    gram = free.T @ free
    used = np.trace(np.linalg.pinv(gram + pull**2 * np.eye(len(gram))) @ gram)
    left = max(len(data) - float(used), 1.0)
    residual = data @ best - ones
    return max(float(np.sqrt(residual @ residual / left)), NOISE_FLOOR_SHARE)


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))

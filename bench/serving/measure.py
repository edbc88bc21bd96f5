"""Relative errors of predictions, by method and number of probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from serving.kriging import arrays_of, covariance, predict
from serving.rivals import nnls_s, product_s, roofline_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serving.kriging import Constants
    from serving.table import Run

    Floats = NDArray[np.float64]

PROBES = (0, 2, 3, 4, 6, 8, 12)
MIN_PREDICTED = 3  # a group must leave so many runs to predict


def measure_groups(
    groups: Mapping[str, Sequence[Run]], known: Constants, *, seeds: int
) -> dict[str, dict[str, dict[int, Floats]]]:
    """Relative errors by group, method and number of probes."""
    return {name: group_errors(runs, known, seeds=seeds) for name, runs in groups.items()}


def pooled(errors: Mapping[str, Mapping[str, Mapping[int, Floats]]]) -> dict[str, Any]:
    """Median and p90 over the runs of all groups, by method and number of probes."""
    parts: dict[str, dict[int, list[Floats]]] = {}
    for by_method in errors.values():
        for method, by_probes in by_method.items():
            for probes, error in by_probes.items():
                parts.setdefault(method, {}).setdefault(probes, []).append(error)
    return {
        method: {
            str(probes): {
                "p50_share": percentile(np.concatenate(found), 50),
                "p90_share": percentile(np.concatenate(found), 90),
            }
            for probes, found in by_probes.items()
        }
        for method, by_probes in parts.items()
    }


def group_errors(
    runs: Sequence[Run], known: Constants, *, seeds: int
) -> dict[str, dict[int, Floats]]:
    """Relative errors of the runs that are no probes, by method and number of probes."""
    arrays = arrays_of(runs, known.columns)
    spread = covariance(known, arrays)
    seconds = arrays.seconds
    nothing = np.array([], dtype=np.intp)
    at_zero = {
        "calibrated": predict(known, arrays, spread, nothing),
        "roofline": roofline_s(runs),
    }
    errors = {name: {0: np.abs(guess / seconds - 1)} for name, guess in at_zero.items()}
    errors |= {"product": {}, "nnls": {}}
    for count in PROBES[1:]:
        if len(runs) < count + MIN_PREDICTED:
            break
        drawn: dict[str, list[Floats]] = {"calibrated": [], "product": [], "nnls": []}
        for seed in range(seeds):
            order = np.random.default_rng([seed, count]).permutation(len(runs))
            probes, rest = order[:count], order[count:]
            guesses = {
                "calibrated": predict(known, arrays, spread, probes),
                "product": product_s(runs, probes),
                "nnls": nnls_s(runs, probes),
            }
            for name, guess in guesses.items():
                drawn[name].append(np.abs(guess[rest] / seconds[rest] - 1))
        for name, parts in drawn.items():
            errors[name][count] = np.concatenate(parts)
    return errors


def percentile(errors: Floats, percent: float) -> float:
    """Percentile of errors, as a plain number."""
    return float(np.percentile(errors, percent))

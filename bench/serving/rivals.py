"""What the calibrated model is measured against, on the same probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from costaudit.whatif.fit import PRIOR, PRIOR_STRENGTH
from costaudit.whatif.solve import solve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serving.table import Run

    Floats = NDArray[np.float64]

# The columns of the product's form, as sums of those a table needs apart.
_FORM: Mapping[str, tuple[str, ...]] = {
    "overhead": ("overhead",),
    "sequences": ("sequences",),
    "weights": ("weights", "experts"),
    "kv": ("kv",),
    "decode_compute": ("decode_linear", "decode_attention"),
    "prefill_compute": ("prefill_linear", "prefill_attention"),
    "prefill_attention": ("prefill_attention",),
    "link": ("link_decode", "link_prefill"),
    "link_latency": ("link_latency",),
}


def product_s(runs: Sequence[Run], probes: NDArray[np.intp]) -> Floats:
    """The product's fit: its form and its prior, nothing from other groups."""
    return _fitted_s(runs, probes, strength=PRIOR_STRENGTH)


def nnls_s(runs: Sequence[Run], probes: NDArray[np.intp]) -> Floats:
    """Plain non-negative least squares on the same columns."""
    return _fitted_s(runs, probes, strength=0.0)


def roofline_s(runs: Sequence[Run]) -> Floats:
    """Datasheet peaks: the longer of decode's bytes and FLOPs, and prefill's FLOPs."""
    rows = [_form(run) for run in runs]
    return np.array(
        [max(r["weights"] + r["kv"], r["decode_compute"]) + r["prefill_compute"] for r in rows]
    )


def _form(run: Run) -> dict[str, float]:
    return {name: sum(run.columns[part] for part in parts) for name, parts in _FORM.items()}


def _fitted_s(runs: Sequence[Run], probes: NDArray[np.intp], *, strength: float) -> Floats:
    rows = [_form(run) for run in runs]
    fitted = solve(
        [rows[i] for i in probes],
        [runs[i].seconds for i in probes],
        {name: PRIOR[name] for name in _FORM},
        strength=strength,
        draws=0,
    )
    return np.array([sum(fitted.coefficients[n] * row[n] for n in _FORM) for row in rows])

"""The step-time fit where the model's shape or the hardware's peaks are not known.

The form stays: a constant, something per sequence, per context token, per prompt token and per
pair of tokens. What its coefficients mean in bytes and FLOPs is then unknown: reading the weights
and the overhead of a step are one sum, and there is no speed of light to compare with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.target.shape import ModelShape
from costaudit.whatif.form import REQUEST, Peaks
from costaudit.whatif.solve import Belief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Stand-ins. Sizes only set the units of the coefficients; what a token costs against a pair of
# tokens is free, since both have a column.
STAND_IN_PEAKS = Peaks(flops_per_s=1e12, bandwidth_bytes_per_s=1e11)
STAND_IN_SHAPE = ModelShape(
    name="unknown",
    architecture="unknown",
    layers=16,
    hidden=1024,
    ffn=4096,
    heads=16,
    kv_heads=16,
    head_dim=64,
    vocab=32000,
    max_context_tokens=1 << 20,
)
FREE = ("overhead", "sequences", "kv", "prefill_compute", "prefill_attention", REQUEST)
RIDGE = 1e-3  # of the residuals: breaks ties towards zero, far below the noise of any probe
NOTE = (
    "the hardware's peaks or the model's shape are not known: the time of reading the weights and"
    " the overhead of a step are one sum, and there is no speed of light to compare with"
)


def free_beliefs(
    rows: Sequence[Mapping[str, float]], seconds: Sequence[float], *, experts: bool
) -> Mapping[str, Belief]:
    """Beliefs that only set the scale: each column alone would explain the median step.

    Routed experts make the weights' time vary with the rows; then it has a column of its own.
    """
    typical_s = median(seconds)
    beliefs = {}
    for name in (*FREE, "weights") if experts else FREE:
        values = [row[name] for row in rows if row[name] > 0]
        if values:
            beliefs[name] = Belief(centre=0.0, width=typical_s / median(values))
    return beliefs

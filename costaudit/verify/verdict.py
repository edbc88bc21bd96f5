"""A predicted figure beside the measured one: inside, outside, or cannot tell because."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.contrast.change import high, low
from costaudit.recording.verified import Bounds, Figure

if TYPE_CHECKING:
    from costaudit.contrast.change import Change

ONE_SIDED = 0.05  # each way: the predicted interval holds nine in ten, so does the measured one
WIDEST_HALF = 0.10  # of the ratio: what is known no better confirms nothing
MORE_ROUNDS = "more --rounds would tell"


def figure_of(metric: str, predicted: Bounds, change: Change | None, *, why_not: str) -> Figure:
    """The verdict on one figure.

    Inside: the measured interval lies in the predicted one, or its middle does and it is narrow.
    Outside: the two do not meet. `why_not` says why nothing can be told; "" where it can.
    """
    if change is None:
        why = why_not or "it was not measured"
        return _figure(metric, predicted, None, "cannot-tell", why)
    measured = Bounds(
        low=max(1 + low(change, ONE_SIDED), 0.0),
        mid=math.exp(change.log),
        high=1 + high(change, ONE_SIDED),
    )
    if not math.isfinite(measured.high):
        return _figure(metric, predicted, None, "cannot-tell", "it was measured too seldom")
    if why_not:
        return _figure(metric, predicted, measured, "cannot-tell", why_not)
    verdict, why = _held(predicted, measured)
    return _figure(metric, predicted, measured, verdict, why)


def _held(predicted: Bounds, measured: Bounds) -> tuple[str, str]:
    if predicted.low <= measured.low and measured.high <= predicted.high:
        return "inside", ""
    if measured.high < predicted.low or predicted.high < measured.low:
        return "outside", ""
    if not predicted.low <= measured.mid <= predicted.high:
        why = f"the measured interval reaches into the predicted one; {MORE_ROUNDS}"
        return "cannot-tell", why
    half = (measured.high - measured.low) / 2
    if half > WIDEST_HALF:
        return "cannot-tell", f"it is measured to ± {half:.2g} of the ratio only; {MORE_ROUNDS}"
    return "inside", ""


def _figure(
    metric: str, predicted: Bounds, measured: Bounds | None, verdict: str, why: str
) -> Figure:
    return Figure(metric=metric, predicted=predicted, measured=measured, verdict=verdict, why=why)

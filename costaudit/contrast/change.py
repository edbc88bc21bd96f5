"""A relative change with its uncertainty: bounds, power, and how many may be tested at once.

Changes are natural logarithms of a ratio, turned so that positive is worse. Two kinds of doubt:
chance, with a standard error and its degrees of freedom, and what a disturbed machine may have
shown in the new side or hidden in the base, which no number of samples makes smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA = 0.01  # of false alarms, one-sided
SURE = 0.95  # that the error is no larger than its upper bound
POWER = 0.975  # at the minimum detectable effect: two runs in a row both see it 95 times in 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How much worse the new side is.

    Attributes:
        log: ln(new / base), positive is worse.
        error: standard error of `log`.
        freedom: degrees of freedom of `error`; infinite where it was assumed.
        shown: what disturbances of the new side may have added to `log`.
        hidden: what disturbances of the base may have taken from it.
        origin: where `error` comes from, in words.
    """

    log: float
    error: float
    freedom: float
    shown: float = 0.0
    hidden: float = 0.0
    origin: str = ""

    @property
    def share(self) -> float:
        """The change as a share of the base."""
        return math.expm1(self.log)


def low(change: Change, alpha: float = ALPHA) -> float:
    """The change is larger than this share, at confidence 1 - `alpha`."""
    return math.expm1(change.log - _reach(change, alpha) - change.shown)


def high(change: Change, alpha: float = ALPHA) -> float:
    """The change is smaller than this share, at confidence 1 - `alpha`."""
    return math.expm1(change.log + _reach(change, alpha) + change.hidden)


def noise(change: Change, alpha: float = ALPHA) -> float:
    """Half-width around the change, the wider side, as a share."""
    return math.expm1(_reach(change, alpha) + max(change.shown, change.hidden))


def smallest_seen(change: Change, margin: float, alpha: float = ALPHA) -> float:
    """The minimum detectable effect: a true change of this share breaches at `POWER`.

    It must exceed both what a breach asks for (the margin, and no change within the bound), and
    what chance and a disturbed base may take from it. Where the error was estimated from few
    samples it may be a lucky one, so its upper bound stands (chi-squared, at `SURE`).
    """
    from scipy.special import chdtri, ndtri

    error = change.error
    if not math.isinf(change.freedom):
        error *= math.sqrt(change.freedom / float(chdtri(change.freedom, SURE)))
    sure = replace(change, error=error)
    wanted = max(math.log1p(margin), _reach(sure, alpha) + change.shown)
    return math.expm1(wanted + float(ndtri(POWER)) * error + change.hidden)


def chance(change: Change) -> float:
    """P of a change this large or larger where there is none (one-sided)."""
    from scipy.special import ndtr, stdtr

    if change.error <= 0:
        return 0.0 if change.log > change.shown else 1.0
    t = (change.log - change.shown) / change.error
    return float(ndtr(-t) if math.isinf(change.freedom) else stdtr(change.freedom, -t))


def holm(chances: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The level at which each of several tests is judged, so that all together keep `alpha`.

    Holm (1979): the smallest against alpha/m, the next against alpha/(m-1), until one fails;
    from there on all are judged at that level, which none of them reaches.
    """
    levels = [alpha] * len(chances)
    level, failed = alpha, False
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if not failed:
            level = alpha / (len(chances) - rank)
            failed = chances[place] > level
        levels[place] = level
    return levels


def from_pairs(logs: Sequence[float]) -> Change:
    """The change over paired rounds; each is one draw, whatever was pooled within it.

    Raises:
        ValueError: fewer than two.
    """
    count = len(logs)
    if count < 2:  # noqa: PLR2004
        raise ValueError("one pair has no spread")
    mid = math.fsum(logs) / count
    spread = math.sqrt(math.fsum((log - mid) ** 2 for log in logs) / (count - 1))
    return Change(
        log=mid,
        error=spread / math.sqrt(count),
        freedom=count - 1,
        origin=f"{count} paired rounds, each with both sides loaded anew",
    )


def _reach(change: Change, alpha: float) -> float:
    """One-sided quantile of Student's t (normal where the error was assumed) times the error."""
    from scipy.special import ndtri, stdtrit

    if math.isinf(change.freedom):
        return float(ndtri(1 - alpha)) * change.error
    return float(stdtrit(change.freedom, 1 - alpha)) * change.error

"""The rules of other gates, on the same samples: lists of seconds of the base and of the new side.

pytest-benchmark   --benchmark-compare-fail=mean:5%: the means' ratio is above 1.05
github-action      benchmark-action's alert-threshold: the ratio to the last run is above 200 %
                   (its default), or above 105 %
asv                asv continuous: Mann-Whitney p < 0.002 and a factor of 1.1 between medians
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scipy.stats import mannwhitneyu

from costaudit.ground.stats import mean, median

Rule = Callable[[Sequence[float], Sequence[float]], bool]


def _ratio_above(most: float) -> Rule:
    return lambda base, new: mean(new) > most * mean(base)


def _asv(base: Sequence[float], new: Sequence[float]) -> bool:
    p = float(mannwhitneyu(base, new, alternative="two-sided").pvalue)
    return p < 0.002 and median(new) > 1.1 * median(base)


RULES: Mapping[str, Rule] = {
    "pytest-benchmark mean:5%": _ratio_above(1.05),
    "github-action 200%": _ratio_above(2.0),
    "github-action 105%": lambda base, new: median(new[-1:]) > 1.05 * median(base[-1:]),
    "asv p<0.002 and ×1.1": _asv,
}

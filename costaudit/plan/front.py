"""The Pareto front of cost against latency, over the sets of steps that were tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from costaudit.plan.bounds import Worth

ALIKE_SHARE = 0.01  # closer in every respect is no choice of its own

_Key = TypeVar("_Key")


def pareto(worths: Mapping[_Key, Worth]) -> list[_Key]:
    """Those that no other beats in cost and every latency at once, the cheapest first.

    Of several that are alike to ALIKE_SHARE in all of these, the first of the mapping stays.
    """
    kept: list[_Key] = []
    for key in sorted(worths, key=lambda k: _figures(worths[k])):
        if not any(_covers(worths[other], worths[key]) for other in kept):
            kept.append(key)
    return kept


def _figures(worth: Worth) -> tuple[float, ...]:
    return worth.cost, *(worth.latency_s[name] for name in sorted(worth.latency_s))


def _covers(other: Worth, worth: Worth) -> bool:
    """Whether the other is as good in every respect, or all but."""
    pairs: Iterable[tuple[float, float]] = zip(_figures(other), _figures(worth), strict=False)
    return other.latency_s.keys() == worth.latency_s.keys() and all(
        left <= right * (1 + ALIKE_SHARE) for left, right in pairs
    )

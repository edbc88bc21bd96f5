"""Prices too old to be relied on: one line that counts them, and which they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.report.pricing_rows import PricingView
    from costaudit.report.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class StalePrices:
    """A warning; `each` names them where they are several."""

    line: str
    each: tuple[str, ...] = ()


def warned(seen: View | PricingView) -> tuple[str, ...]:
    """All warnings of a view as lines, where nothing can be folded."""
    return (*seen.warnings, *([seen.stale.line] if seen.stale else []))


def stale_prices(prices: Sequence[Mapping[str, Any]], *, by: str) -> StalePrices | None:
    """The warning, or None where no price is too old; `by` is the field that names a price."""
    stale = [price for price in prices if price["stale"]]
    if not stale:
        return None
    named = tuple(f"{_short(price[by])} ({price['as_of'] or 'undated'})" for price in stale)
    hint = "give today's with --price"
    if len(stale) == 1:
        name, age = _short(stale[0][by]), stale[0]["as_of"] or "undated"
        return StalePrices(line=f"The price of {name} is stale ({age}): {hint}.")
    dates = [price["as_of"] for price in stale if price["as_of"]]
    oldest = f", the oldest of {min(dates)}" if dates else ""
    return StalePrices(
        line=f"{len(stale)} of {len(prices)} prices are stale{oldest}: {hint}.", each=named
    )


def _short(name: str) -> str:
    """What was priced, without where that was read."""
    return name.split(": ", maxsplit=1)[0]

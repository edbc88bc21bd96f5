"""Shares as the gate prints them."""

from __future__ import annotations


def percent(share: float) -> str:
    """Three figures: 2.5 %."""
    return f"{100 * share:.3g} %"


def signed_percent(share: float) -> str:
    """With its sign: +2.5 %."""
    return f"{100 * share:+.3g} %"

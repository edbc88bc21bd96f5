"""Reads the shipped tables, and says how old a fact of them is."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

STALE_AFTER_DAYS = 180
_DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a shipped table, as text by column."""
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def number(text: str | None) -> float | None:
    """A figure of a table; None where it is blank or 0, which is a placeholder and no gift."""
    return float(text) or None if text else None


def stale(as_of: str, today: dt.date) -> bool:
    """Older than STALE_AFTER_DAYS, or of no known date."""
    try:
        age = today - dt.date.fromisoformat(as_of)
    except ValueError:
        return True
    return age.days > STALE_AFTER_DAYS

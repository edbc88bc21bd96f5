"""Rows of a table that hold for some versions of an engine alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def in_version(row: Mapping[str, str], version: str) -> bool:
    """`from_version` ≤ version < `below_version`, an empty bound being none.

    An unknown version ("") counts as the newest.
    """
    if not version:
        return not row["below_version"]
    ours = parts(version)
    above = not row["from_version"] or ours >= parts(row["from_version"])
    return above and (not row["below_version"] or ours < parts(row["below_version"]))


def parts(version: str) -> tuple[int, ...]:
    """The first three numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])

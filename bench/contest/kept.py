"""Runs kept in a file, one a line, so that a contest can be done in parts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from contest.play import Row

if TYPE_CHECKING:
    from pathlib import Path


def kept(path: Path | None) -> list[Row]:
    """What the file holds already; without a file, nothing."""
    if path is None or not path.exists():
        return []
    return [Row(**json.loads(line)) for line in path.read_text().splitlines()]


def keep(row: Row, path: Path | None) -> None:
    """One more run."""
    if path is not None:
        with path.open("a") as file:
            print(json.dumps(asdict(row)), file=file)

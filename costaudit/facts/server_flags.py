"""What to type for a change on an engine: flags by action and version.

The table is `data/server_flags.csv`, which names its sources.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from costaudit.facts.versions import in_version

_TABLE = Path(__file__).parent / "data" / "server_flags.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFlag:
    """A change in an engine's own words, and what to look at after it. `flag` may hold {holes}."""

    action: str
    flag: str
    verify: str


def server_flag(engine: str, action: str, *, version: str = "") -> ServerFlag | None:
    """The flag of an action in this engine's version; an unknown version counts as the newest.

    None where the engine has no such flag.
    """
    for row in _rows():
        if row["engine"] == engine and row["action"] == action and in_version(row, version):
            return ServerFlag(action=action, flag=row["flag"], verify=row["verify"])
    return None


@cache
def _rows() -> tuple[dict[str, str], ...]:
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(csv.DictReader(line for line in lines if not line.startswith("#")))

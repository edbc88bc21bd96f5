"""The budget file: what a build may cost, line by line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.ground.toml import check_keys, number, read_toml, text

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "costaudit.budget/1"
_KEYS = ("metric", "max", "min", "margin", "severity", "owner", "reason")
_HEADER = re.compile(r"\s*\[\[\s*budget\s*\]\]")


class Severity(StrEnum):
    """Whether a line may fail the build."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An absolute line: `low` ≤ metric ≤ `high`, in the unit of the metric's name.

    `line` is where it stands in the file, from 1.
    """

    metric: str
    low: float
    high: float
    severity: Severity
    owner: str
    reason: str
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """A relative line: how far the metric may be from its baseline, as a share of it.

    A timing may be worse by `margin`; a counter may differ by it in either direction.
    """

    metric: str
    margin: float
    severity: Severity
    owner: str
    reason: str
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget file; `requests_per_month` is the declared demand, None where none is declared."""

    path: str
    limits: tuple[Limit, ...]
    margins: tuple[Margin, ...]
    requests_per_month: float | None


def read_budget(path: Path) -> Budget:
    """The lines of a budget file (its JSON Schema ships as gate/budget.schema.json).

    Raises:
        UsageError: missing, not TOML, no lines, or a line is not well formed.
    """
    table = read_toml(path)
    check_keys(table, ("schema", "budget", "demand"), str(path))
    if table.get("schema", SCHEMA) != SCHEMA:
        raise UsageError(f"{path}: schema {table['schema']!r} is not {SCHEMA!r}")
    lines = table.get("budget")
    if not isinstance(lines, list) or not lines:
        raise UsageError(
            f"{path} holds no budget",
            hint='write [[budget]] with metric = "usd_per_1m_tokens" and max = 1.0',
        )
    places = _places(path, len(lines))
    read = [
        _line(line, f"{path} budget {n}", place)
        for n, (line, place) in enumerate(zip(lines, places, strict=True), start=1)
    ]
    return Budget(
        path=str(path),
        limits=tuple(limit for limit, _ in read if limit is not None),
        margins=tuple(margin for _, margin in read if margin is not None),
        requests_per_month=_demand(table, str(path)),
    )


def _demand(table: Mapping[str, Any], where: str) -> float | None:
    if "demand" not in table:
        return None
    demand = table["demand"]
    if not isinstance(demand, Mapping):
        raise UsageError(f"{where} demand must be a table")
    check_keys(demand, ("requests_per_month",), f"{where} demand")
    return number(demand, "requests_per_month", f"{where} demand")


def _places(path: Path, count: int) -> list[int]:
    """The line of each [[budget]]; of the file's top where they are written in another way."""
    rows = path.read_text(encoding="utf-8").splitlines()
    found = [n for n, row in enumerate(rows, start=1) if _HEADER.match(row)]
    return found if len(found) == count else [1] * count


def _line(line: Any, where: str, place: int) -> tuple[Limit | None, Margin | None]:
    if not isinstance(line, Mapping):
        raise UsageError(f"{where} must be a table")
    check_keys(line, _KEYS, where)
    metric = text(line, "metric", where)
    where = f"{where} ({metric})"
    if not {"max", "min", "margin"} & set(line):
        raise UsageError(f"{where} sets neither max nor min nor margin")
    severity = text(line, "severity", where) if "severity" in line else "error"
    if severity not in set(Severity):
        hint = did_you_mean(severity, [str(s) for s in Severity])
        raise UsageError(f"{where}: unknown severity {severity!r}", hint=hint)
    common: dict[str, Any] = {
        "metric": metric,
        "severity": Severity(severity),
        "owner": text(line, "owner", where) if "owner" in line else "",
        "reason": text(line, "reason", where) if "reason" in line else "",
        "line": place,
    }
    margin = Margin(margin=_margin(line, where), **common) if "margin" in line else None
    if not {"max", "min"} & set(line):
        return None, margin
    low, high = _bounds(line, where)
    return Limit(low=low, high=high, **common), margin


def _margin(line: Mapping[str, Any], where: str) -> float:
    return number(line, "margin", where, high=1.0)


def _bounds(line: Mapping[str, Any], where: str) -> tuple[float, float]:
    low = number(line, "min", where, low=-math.inf) if "min" in line else -math.inf
    high = number(line, "max", where, low=-math.inf) if "max" in line else math.inf
    if low > high:
        raise UsageError(f"{where}: min = {low:g} is above max = {high:g}")
    return low, high

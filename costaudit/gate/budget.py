"""The budget file: what a build may cost, line by line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.ground.toml import check_keys, number, read_toml, text

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "costaudit.budget/1"
_KEYS = ("metric", "max", "min", "severity", "owner", "reason")


class Severity(StrEnum):
    """Whether a line may fail the build."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One line: `low` ≤ metric ≤ `high`, in the unit of the metric's name."""

    metric: str
    low: float
    high: float
    severity: Severity
    owner: str
    reason: str


def read_budget(path: Path) -> tuple[Limit, ...]:
    """The lines of a budget file (its JSON Schema ships as gate/budget.schema.json).

    Raises:
        UsageError: missing, not TOML, no lines, or a line is not well formed.
    """
    table = read_toml(path)
    check_keys(table, ("schema", "budget"), str(path))
    if table.get("schema", SCHEMA) != SCHEMA:
        raise UsageError(f"{path}: schema {table['schema']!r} is not {SCHEMA!r}")
    lines = table.get("budget")
    if not isinstance(lines, list) or not lines:
        raise UsageError(
            f"{path} holds no budget",
            hint='write [[budget]] with metric = "usd_per_1m_tokens" and max = 1.0',
        )
    return tuple(_limit(line, f"{path} budget {n}") for n, line in enumerate(lines, start=1))


def _limit(line: Any, where: str) -> Limit:
    if not isinstance(line, Mapping):
        raise UsageError(f"{where} must be a table")
    check_keys(line, _KEYS, where)
    metric = text(line, "metric", where)
    where = f"{where} ({metric})"
    if "max" not in line and "min" not in line:
        raise UsageError(f"{where} sets neither max nor min")
    low = number(line, "min", where, low=-math.inf) if "min" in line else -math.inf
    high = number(line, "max", where, low=-math.inf) if "max" in line else math.inf
    if low > high:
        raise UsageError(f"{where}: min = {low:g} is above max = {high:g}")
    severity = text(line, "severity", where) if "severity" in line else "error"
    if severity not in set(Severity):
        hint = did_you_mean(severity, [str(s) for s in Severity])
        raise UsageError(f"{where}: unknown severity {severity!r}", hint=hint)
    return Limit(
        metric=metric,
        low=low,
        high=high,
        severity=Severity(severity),
        owner=text(line, "owner", where) if "owner" in line else "",
        reason=text(line, "reason", where) if "reason" in line else "",
    )

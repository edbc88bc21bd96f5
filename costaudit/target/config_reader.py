"""Reads checked numbers out of a Hugging Face configuration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SIZE = 1 << 30  # no dimension of a real model comes near


class ConfigReader:
    """Reads checked sizes; a class only to carry the two words every complaint needs."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self.table = table
        self.where = where

    def size(
        self,
        names: tuple[str, ...],
        *,
        default: int | None = None,
        low: int = 1,
        high: int = MAX_SIZE,
    ) -> int:
        """The first of `names` that is there, else the default.

        Raises:
            TargetError: none is there and there is no default, or it is no such number.
        """
        for name in names:
            if self.table.get(name) is not None:
                return whole(self.table[name], name, self.where, low=low, high=high)
        if default is None:
            raise TargetError(
                f"{self.where} has no {names[0]}",
                hint="is it the config.json of a causal language model?",
            )
        return default


def whole(value: object, name: str, where: str, *, low: int = 1, high: int = MAX_SIZE) -> int:
    """A whole number within [low, high].

    Raises:
        TargetError: anything else.
    """
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or number != int(number) or not low <= number <= high:
        raise TargetError(
            f"{where} is impossible: {name} = {str(value)[:40]} "
            f"is not a whole number from {low} to {high}",
            hint="compare config.json with the published one",
        )
    return int(number)


def entries(table: Mapping[str, Any], key: str) -> list[Any]:
    """A list of a configuration; empty where there is none."""
    value = table.get(key)
    return list(value) if isinstance(value, (list, tuple)) else []

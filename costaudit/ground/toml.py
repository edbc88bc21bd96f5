"""Reads TOML into checked values: unknown keys, wrong types and bad numbers are named."""

from __future__ import annotations

import math
import tomllib
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

MAX_BYTES = 1 << 20  # a hand-written file is never larger


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        UsageError: missing, too large, not UTF-8 or not TOML.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES} bytes; is it the right file?")
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as err:
        raise UsageError(f"cannot read {path}: {err.strerror}") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise UsageError(f"{path} is not valid TOML: {err}") from err


def check_keys(table: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Refuse keys that nobody reads.

    Raises:
        UsageError: with the closest known key as the hint.
    """
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}", hint=did_you_mean(key, known))


def number(
    table: Mapping[str, Any], key: str, where: str, *, low: float = 0.0, high: float = math.inf
) -> float:
    """A finite number of a table, within [low, high].

    Raises:
        UsageError: missing, not a number, or out of range.
    """
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{where}: {key} must be a number, got {value!r}")
    if not math.isfinite(value) or not low <= value <= high:
        raise UsageError(f"{where}: {key} = {value} is outside {low:g} … {high:g}")
    return value


def text(table: Mapping[str, Any], key: str, where: str) -> str:
    """A non-empty string of a table.

    Raises:
        UsageError: missing or not a string.
    """
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {key} must be a non-empty string")
    return value.strip()

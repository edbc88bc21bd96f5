"""Observations as a file: a baseline small enough to be committed, and read with suspicion."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from costaudit.contrast.observation import Observation, Unit
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA = "costaudit.baseline/1"
MAX_BYTES = 8 << 20
_TEXTS, _NUMBERS = ("environment", "software"), ("counters", "latencies_s")


def baseline_text(observations: Sequence[Observation]) -> str:
    """The observations as JSON, one key a line so that a change can be reviewed."""
    document = {"schema": SCHEMA, "observations": [asdict(o) for o in observations]}
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def is_baseline(path: Path) -> bool:
    """Whether the file begins like JSON, not like a recording (which is SQLite)."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False


def read_baseline(path: Path) -> tuple[Observation, ...]:
    """The observations of a baseline file.

    Raises:
        UsageError: it cannot be read or is none.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES} bytes; is it the right file?")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise UsageError(f"cannot read {path}: {err.strerror}") from err
    except (ValueError, RecursionError) as err:
        raise UsageError(f"{path} is not valid JSON: {err}") from err
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise UsageError(
            f"{path} is no baseline of this costaudit", hint="write one with --update-baseline"
        )
    rows = document.get("observations")
    if not isinstance(rows, list) or not rows:
        raise UsageError(f"{path} holds no observation")
    return tuple(_observation(row, f"{path} observation {n}") for n, row in enumerate(rows, 1))


def _observation(row: Any, where: str) -> Observation:
    known = {field.name for field in fields(Observation)}
    if not isinstance(row, dict) or set(row) != known:
        raise UsageError(f"{where} does not have the fields of an observation")
    if row["clock"] not in ("thread_time", "cuda_event", "wall"):
        raise UsageError(f"{where}: {row['clock']!r} is no clock")
    if not isinstance(row["units"], dict) or not row["units"]:
        raise UsageError(f"{where} holds no units")
    plain = ("name", "created", "clock", "price_as_of")
    checked: dict[str, Any] = {name: _text(row[name], f"{where} {name}") for name in plain}
    checked |= {n: _table(row[n], _text, f"{where} {n}") for n in _TEXTS}
    checked |= {n: _table(row[n], _number, f"{where} {n}") for n in _NUMBERS}
    return Observation(
        **checked,
        units={str(key): _unit(unit, f"{where} {key}") for key, unit in row["units"].items()},
        within_share=_number(row["within_share"], where),
        contention_share=_number(row["contention_share"], where),
        sm_clock_hz=_maybe(row["sm_clock_hz"], where),
        usd_per_device_h=_maybe(row["usd_per_device_h"], where),
    )


def _unit(unit: Any, where: str) -> Unit:
    known = {field.name for field in fields(Unit)}
    if not isinstance(unit, dict) or set(unit) | {"pace_s"} != known:  # older files have no pace
        raise UsageError(f"{where} does not have the fields of a unit")
    counts = {name: round(_number(unit[name], where)) for name in ("requests", "tokens")}
    device_s = _number(unit["device_s"], where)
    if min(counts.values()) < 1 or device_s <= 0:
        raise UsageError(f"{where} holds no work")
    seconds = {n: _maybe(unit.get(n), where) for n in ("prefill_s", "decode_s", "pace_s")}
    if seconds["pace_s"] == 0:
        raise UsageError(f"{where}: a pace of no time at all")
    return Unit(
        requests=counts["requests"],
        tokens=counts["tokens"],
        device_s=device_s,
        **seconds,
    )


def _table(value: Any, read: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is no table")
    return {str(key): read(item, f"{where} {key}") for key, item in value.items()}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where} is no text")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{where} is no number")
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"{where}: {value} is outside 0 …")
    return float(value)


def _maybe(value: Any, where: str) -> float | None:
    return None if value is None else _number(value, where)

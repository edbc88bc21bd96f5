"""Verified predictions, beside the recording that they were made from.

A file of lines that is only ever appended to: NAME.verified.jsonl beside NAME.costaudit, one line
per verification, each with its schema. The recording itself stays as it was measured. A line cut
short (a full disk, a killed process) is skipped, and so is one of a newer schema.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "costaudit.verified/1"
SUFFIX = ".verified.jsonl"
MAX_BYTES = 8 << 20
MAX_FILES = 64  # of one folder
VERDICTS = ("inside", "outside", "cannot-tell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """After over before, with both ends of its 90 % interval."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One predicted figure beside the measured one; None: it was not measured."""

    metric: str
    predicted: Bounds
    measured: Bounds | None
    verdict: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One prediction that was tried.

    Attributes:
        target: a digest of model, precision and device: the same for all recordings of a target.
        recording: the name of the file that the prediction was made from.
        created: day and time, UTC.
        steps: ids of the steps that were made.
        how: how it was measured, in words.
        notes: what a reader should know.
        figures: the first is the one that decides.
    """

    target: str
    recording: str
    created: str
    steps: tuple[str, ...]
    how: str
    notes: tuple[str, ...]
    figures: tuple[Figure, ...]


def store_of(recording: Path) -> Path:
    """Where the verifications of a recording are kept."""
    return recording.with_name(recording.stem + SUFFIX)


def append(path: Path, verified: Verified) -> None:
    """Add one verification to the file.

    Raises:
        UsageError: it cannot be written.
    """
    line = json.dumps({"schema": SCHEMA, **asdict(verified)}, allow_nan=False)
    try:
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                if file.read(1) != b"\n":  # the last line was cut short
                    file.write(b"\n")
            file.write(line.encode() + b"\n")
    except OSError as err:
        raise UsageError(f"cannot write {path}: {err.strerror}") from err


def verified_of(folder: Path, target: str) -> tuple[Verified, ...]:
    """All verifications of a target that lie in this folder, oldest first."""
    found = [
        verified
        for path in sorted(folder.glob(f"*{SUFFIX}"))[:MAX_FILES]
        for verified in read(path)
        if verified.target == target
    ]
    return tuple(sorted(found, key=lambda verified: verified.created))


def read(path: Path) -> tuple[Verified, ...]:
    """The verifications in a file; lines that are none are left out."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return ()
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(found for line in lines if (found := _verified(line)) is not None)


def _verified(line: str) -> Verified | None:
    try:
        row = json.loads(line)
        if row["schema"] != SCHEMA:
            return None
        return Verified(
            **{name: _text(row[name]) for name in ("target", "recording", "created", "how")},
            steps=tuple(_text(step) for step in row["steps"]),
            notes=tuple(_text(note) for note in row["notes"]),
            figures=tuple(_figure(figure) for figure in row["figures"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _figure(row: Any) -> Figure:
    if row["verdict"] not in VERDICTS:
        raise ValueError(row["verdict"])
    predicted = _bounds(row["predicted"])
    if predicted is None:
        raise ValueError("a figure without a prediction")
    return Figure(
        metric=_text(row["metric"]),
        predicted=predicted,
        measured=_bounds(row["measured"]),
        verdict=row["verdict"],
        why=_text(row["why"]),
    )


def _bounds(row: Any) -> Bounds | None:
    if row is None:
        return None
    low, mid, high = (float(row[name]) for name in ("low", "mid", "high"))
    if not (math.isfinite(high) and 0 <= low <= mid <= high):
        raise ValueError("no interval")
    return Bounds(low=low, mid=mid, high=high)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value

"""Queries that reduce judged rows inside the engine; what they return is small.

Rows have a `weight`: 1, or -1 for what a repeated request added too much (see `repeats`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.traffic.demand import LengthCell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir

    from costaudit.traffic.engine import Engine

CELLS_PER_OCTAVE = 4
NUDGE = 1e-9  # powers of two are edges; no other whole number below 1e7 comes as near to one
MICROS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """The sound rows of one window (or of one instant, where the log has windows itself)."""

    requests: float | None
    prompt_tokens: float
    output_tokens: float
    cached_prompt_tokens: float | None
    first_us: int
    last_us: int
    zoned: int
    rows: int
    end_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Sums of the sound rows by window, and how many rows each reason's code has."""

    sums: Mapping[int, Sum]
    codes: Mapping[int, int]
    shown: Mapping[int, str]  # by code, one of its rows as it was written

    @property
    def sound(self) -> int:
        """Rows that nothing is held against."""
        return self.codes.get(0, 0)


def per_window(rows: ir.Table, engine: Engine, *, width_us: int) -> Reduced:
    """Single requests: sums per window that has one, by its number since 1970."""
    window = (rows.time_us / width_us).floor().cast("int64")
    return _reduced(rows, engine, window, requests=rows.weight.sum())


def per_instant(rows: ir.Table, engine: Engine) -> Reduced:
    """A table of windows: sums per time."""
    return _reduced(rows, engine, rows.time_us, requests=rows.requests.sum())


def _reduced(rows: ir.Table, engine: Engine, window: Any, *, requests: Any) -> Reduced:
    import ibis

    found = rows.group_by(code=rows.code, window=ibis.ifelse(rows.code == 0, window, 0)).aggregate(
        rows=rows.weight.sum(),
        requests=requests,
        prompt_tokens=(rows.prompt_tokens * rows.weight).sum(),
        output_tokens=(rows.output_tokens * rows.weight).sum(),
        cached_prompt_tokens=(rows.cached_prompt_tokens * rows.weight).sum(),
        first_us=rows.time_us.min(),
        last_us=rows.time_us.max(),
        zoned=(rows.zoned * rows.weight).sum(),
        shown=rows.shown.min(),
        **({"end_us": rows.end_us.max()} if "end_us" in rows.columns else {}),
    )
    shown: dict[int, str] = {}
    sums: dict[int, Sum] = {}
    codes: dict[int, int] = {}
    for row in engine.records(found):
        code, at = row.pop("code"), row.pop("window")
        shown[code] = row.pop("shown") or ""
        codes[code] = codes.get(code, 0) + int(row["rows"])
        if code == 0 and row["rows"]:
            sums[int(at)] = Sum(**_exact(row))
    return Reduced(sums=sums, codes=codes, shown=shown)


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    whole = ("first_us", "last_us", "end_us", "zoned", "rows")
    return {
        name: value if value is None else int(value) if name in whole else float(value)
        for name, value in row.items()
    }


def histogram(rows: ir.Table, engine: Engine) -> tuple[LengthCell, ...]:
    """Joint histogram of prompt and output lengths of the sound rows, in quarter octaves."""
    sound = rows.filter(rows.code == 0)
    found = sound.group_by(
        prompt=_cell(sound.prompt_tokens), output=_cell(sound.output_tokens)
    ).aggregate(
        requests=sound.weight.sum(),
        prompt_tokens=(sound.prompt_tokens * sound.weight).sum(),
        output_tokens=(sound.output_tokens * sound.weight).sum(),
    )
    filled = [row for row in engine.records(found) if row["requests"]]
    cells = sorted(filled, key=lambda row: (row["prompt"], row["output"]))
    return tuple(
        LengthCell(
            requests=float(cell["requests"]),
            prompt_tokens=float(cell["prompt_tokens"]) / float(cell["requests"]),
            output_tokens=float(cell["output_tokens"]) / float(cell["requests"]),
        )
        for cell in cells
    )


def _cell(tokens: Any) -> Any:
    return (tokens.log2() * CELLS_PER_OCTAVE + NUDGE).floor().cast("int32")


def first_lines(rows: ir.Table, engine: Engine, files: Sequence[str]) -> dict[int, str]:
    """Per reason's code the first row that it holds for, where the engine knows lines."""
    if "line" not in rows.columns:
        return {}
    bad = rows.filter(rows.code > 0)
    files_first = bad.group_by("code").aggregate(file=bad.file.min())
    found = (
        bad.join(files_first, ["code", "file"])
        .group_by("code", "file")
        .aggregate(shown=bad.shown.argmin(bad.line), line=bad.line.min())
    )
    return {
        row["code"]: f"{files[row['file']]} line {row['line']}: {row['shown'] or ''}"
        for row in engine.records(found)
    }

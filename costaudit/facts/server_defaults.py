"""What LLM servers do when they were not told: defaults by version and GPU.

The table is `data/server_defaults.csv`, which names its sources. Where a default depends on the GPU
and the GPU is not known, there is no answer but the choices.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from costaudit.facts.versions import in_version

_TABLE = Path(__file__).parent / "data" / "server_defaults.csv"
_GIB = float(1 << 30)
_ONLY = "only "


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDefault:
    """The default of one knob; `value` is None where it hangs on what is not known, see `why`."""

    knob: str
    value: float | int | str | bool | None
    why: str


def server_defaults(
    engine: str, *, version: str = "", gpu: str = "", gpu_memory_bytes: float | None = None
) -> tuple[ServerDefault, ...]:
    """The defaults of an engine's version on a GPU; an unknown version counts as the newest."""
    rows = [row for row in _rows() if row["engine"] == engine and in_version(row, version)]
    knobs = sorted({row["knob"] for row in rows})
    return tuple(
        _default(knob, [row for row in rows if row["knob"] == knob], gpu, gpu_memory_bytes)
        for knob in knobs
    )


def _default(
    knob: str, rows: list[dict[str, str]], gpu: str, gpu_memory_bytes: float | None
) -> ServerDefault:
    fits = rows if gpu_memory_bytes is None else [r for r in rows if _on(r, gpu, gpu_memory_bytes)]
    values = list(dict.fromkeys(row["value"] for row in fits))
    if len(values) == 1:
        return ServerDefault(
            knob=knob, value=_value(values[0]), why=f"default: {fits[0]['source']}"
        )
    if not values:
        return ServerDefault(knob=knob, value=None, why="no default is known on this GPU")
    choices = " or ".join(values)
    return ServerDefault(knob=knob, value=None, why=f"by default {choices}, depending on the GPU")


@cache
def _rows() -> tuple[dict[str, str], ...]:
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(csv.DictReader(line for line in lines if not line.startswith("#")))


def _on(row: dict[str, str], gpu: str, memory_bytes: float) -> bool:
    gib = memory_bytes / _GIB
    if row["from_gpu_gib"] and gib < float(row["from_gpu_gib"]):
        return False
    if row["below_gpu_gib"] and gib >= float(row["below_gpu_gib"]):
        return False
    names = row["not_gpu"]
    if not names:
        return True
    if not gpu:
        return True  # which of the two cannot be told: both stay
    special = any(name.lower() in gpu.lower() for name in names.removeprefix(_ONLY).split())
    return special if names.startswith(_ONLY) else not special


def _value(text: str) -> float | int | str | bool:
    if text in {"true", "false"}:
        return text == "true"
    if re.fullmatch(r"\d+", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text

"""The contest in one Markdown table: a row for each tool, the scenes that tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contest.bars import MOST_STREAMS
from contest.play import Row
from contest.scenes import ONE_WRITE
from contest.table import WRONG_MS, number, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STREAMS = ("early role chunk", "4 tokens per chunk", "32 reasoning tokens first", "stall of 1 s")
HEAD = (
    "client",
    f"TTFT p99 error at 64 / {MOST_STREAMS} streams, ms",
    f"ITL p99 error at 64 / {MOST_STREAMS}, ms",
    f"CPU s per 1,000 tokens at {MOST_STREAMS} (with start-up)",
    "memory, MB",
    "fixed s",
    "streams read wrongly",
    "requests/s of an instant server, 64 / 256 connections, one write",
)
_NONE = Row(scene="", kind="", peer="", version="", streams=0, asked=0)  # no such run


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """Of medians; a tool whose run failed in a scene has – there."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|---" * len(HEAD) + "|"
    for name in dict.fromkeys(row.peer for row in rows):
        of = {row.scene: row for row in rows if row.peer == name}
        yield f"| {' | '.join((name, *_cells(of)))} |"


def _cells(of: dict[str, Row]) -> Iterator[str]:
    few, many = of.get("64 streams", _NONE), of.get(f"{MOST_STREAMS} streams", _NONE)
    yield f"{signed(few.ttft_p99_error_ms)} / {signed(many.ttft_p99_error_ms)}"
    yield f"{signed(few.itl_p99_error_ms)} / {signed(many.itl_p99_error_ms)}"
    load, whole = many.load_cpu_s_per_1k_tokens, many.cpu_s_per_1k_tokens
    yield f"{number(load, '.4f')} ({number(whole, '.4f')})"
    yield number(many.peak_rss_mb, ".0f")
    yield number(many.fixed_s, ".1f")
    yield _wrong([of[name] for name in STREAMS if name in of])
    scenes = ("a write per token, 64 connections", "a write per token, 256 connections", ONE_WRITE)
    rates = [of.get(name, _NONE).requests_per_s for name in scenes]
    yield " / ".join(number(rate, ",.0f") for rate in rates)


def _wrong(rows: Sequence[Row]) -> str:
    """Scenes with a middle, or at a stall a p99, that is off; or without a report."""
    if not rows:
        return "–"
    wrong = [row.scene for row in rows if row.problem or _off(row)]
    return ", ".join(wrong) or "none"


def _off(row: Row) -> bool:
    if row.kind == "stall":
        return row.itl_p99_error_ms is None or abs(row.itl_p99_error_ms) > WRONG_MS
    errors = (row.ttft_p50_error_ms, row.itl_p50_error_ms)
    return any(error is None or abs(error) > WRONG_MS for error in errors)

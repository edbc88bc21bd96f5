"""What costaudit wants to reach, and whether it did: met, missed, or cannot tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contest.scenes import ONE_WRITE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from contest.play import Row

OURS, RUST = "costaudit", "vllm-rust"
TTFT_P50_MS, TTFT_P99_MS, ITL_P99_MS = 0.2, 0.5, 0.1
CPU_S_PER_1K, RSS_MB, MOST_STREAMS = 0.016, 80.0, 512
FIXED_S, ONE_WRITE_TOKENS_PER_S = 0.5, 400_000.0
TIMES_RUST, TIMES_PYTHON = 1.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar. `met` is None where it cannot be told; `got` then says why."""

    what: str
    got: str
    met: bool | None


def bars(rows: Sequence[Row], python_peers: set[str]) -> list[Bar]:
    """Every bar of the scenes that were played; `rows` are medians."""
    ours = [row for row in rows if row.peer == OURS]
    if not ours:
        return []
    return [
        *_fidelity([row for row in ours if row.kind == "level"]),
        *_streams([row for row in ours if row.kind == "stream"]),
        *_cpu(rows),
        *_costs(ours),
        *_ceilings(rows, python_peers),
    ]


def _at_most(what: str, value: float | None, bar: float, unit: str) -> Bar:
    if value is None:
        return Bar(what=f"{what} ≤ {bar:g} {unit}", got="not known", met=None)
    return Bar(what=f"{what} ≤ {bar:g} {unit}", got=f"{value:.3g} {unit}", met=abs(value) <= bar)


def _at_least(what: str, value: float | None, bar: float, unit: str, why: str) -> Bar:
    if value is None:
        return Bar(what=f"{what} ≥ {bar:,g}{unit}", got=why, met=None)
    return Bar(what=f"{what} ≥ {bar:,g}{unit}", got=f"{value:,.3g}{unit}", met=value >= bar)


def _fidelity(rows: Sequence[Row]) -> Iterator[Bar]:
    for row in rows:
        yield _at_most(f"{row.scene}: TTFT p50 error", row.ttft_p50_error_ms, TTFT_P50_MS, "ms")
        yield _at_most(f"{row.scene}: TTFT p99 error", row.ttft_p99_error_ms, TTFT_P99_MS, "ms")
        yield _at_most(f"{row.scene}: ITL p99 error", row.itl_p99_error_ms, ITL_P99_MS, "ms")


def _streams(rows: Sequence[Row]) -> Iterator[Bar]:
    for row in rows:
        yield _at_most(f"{row.scene}: TTFT p50 error", row.ttft_p50_error_ms, TTFT_P50_MS, "ms")
        yield _at_most(f"{row.scene}: ITL p50 error", row.itl_p50_error_ms, ITL_P99_MS, "ms")


def _cpu(rows: Sequence[Row]) -> Iterator[Bar]:
    """The seconds of a machine, and what no machine decides: the Rust client's of the same run."""
    most = {row.peer: row for row in rows if row.kind == "level" and row.streams == MOST_STREAMS}
    if OURS not in most:
        return
    ours = most[OURS].cpu_s_per_1k_tokens
    rust = most[RUST].cpu_s_per_1k_tokens if RUST in most else None
    what = f"{most[OURS].scene}: CPU per 1,000 tokens, start-up included"
    yield _at_most(what, ours, CPU_S_PER_1K, "s")
    times = ours / rust if ours is not None and rust else None
    yield _at_most(f"{what}, over the Rust client", times, TIMES_RUST, "times")


def _costs(rows: Sequence[Row]) -> Iterator[Bar]:
    for row in rows:
        if row.kind == "level" and row.streams == MOST_STREAMS:
            yield _at_most(f"{row.scene}: peak memory", row.peak_rss_mb, RSS_MB, "MB")
    fixed = [row.fixed_s for row in rows if row.kind == "level" and row.fixed_s is not None]
    yield _at_most("fixed time of a rung", max(fixed, default=None), FIXED_S, "s")
    more = [row.scene for row in rows if (row.received or 0) != row.asked]
    yield Bar(
        what="as many requests as asked",
        got="; ".join(f"not in {name!r}" for name in more) or "always",
        met=not more,
    )
    wide = [row.scene for row in rows if row.connections != min(row.streams, row.asked)]
    yield Bar(
        what="as many connections as streams",
        got="; ".join(f"not in {name!r}" for name in wide) or "always",
        met=not wide,
    )


def _ceilings(rows: Sequence[Row], python_peers: set[str]) -> Iterator[Bar]:
    for scene in dict.fromkeys(row.scene for row in rows if row.kind == "ceiling"):
        rate = {
            row.peer: row.requests_per_s
            for row in rows
            if row.scene == scene and row.requests_per_s is not None and not row.problem
        }
        ours, rust = rate.get(OURS), rate.get(RUST)
        python = max((rate[name] for name in rate if name in python_peers), default=None)
        for name, other, bar in (
            ("the Rust client", rust, TIMES_RUST),
            ("the best other Python client", python, TIMES_PYTHON),
        ):
            times = ours / other if ours is not None and other else None
            what = f"{scene}: requests/s over {name}"
            yield _at_least(what, times, bar, " times", "there is no such run")
        if scene == ONE_WRITE:
            tokens = next(
                (row.tokens_per_s for row in rows if row.peer == OURS and row.scene == scene), None
            )
            yield _at_least(scene, tokens, ONE_WRITE_TOKENS_PER_S, " tokens/s", "not known")

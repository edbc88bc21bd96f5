"""A log of requests as demand per window, and as requests to replay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError
from costaudit.traffic import prefix, reduce, windows
from costaudit.traffic.clock import note
from costaudit.traffic.demand import Demand, PrefixShare, Rejected, total
from costaudit.traffic.open_log import open_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.traffic.open_log import OpenLog
    from costaudit.traffic.reduce import Reduced
    from costaudit.traffic.windows import Windows

MICROS = 1_000_000


def read_demand(
    source: str,
    *,
    window_s: float = 3600,
    mapping: Mapping[str, str] | None = None,
    backend: str | None = None,
) -> Demand:
    """The demand that a log shows, per window of `window_s` seconds.

    `source` is a path or a glob; with `backend`, an URL, the name of a table there. `mapping`
    says which column holds a field (see `layout.FIELDS`) where the names do not tell. Nothing but
    aggregates leaves the engine, save the first prompts' block hashes, if the log has any.

    Raises:
        UsageError: the log cannot be read, its columns are not understood, or no row is usable.
    """
    if not (math.isfinite(window_s) and window_s >= 1):
        raise UsageError(f"a window of {window_s} s", hint="windows are at least one second long")
    with open_log(source, mapping, backend) as log:
        found, laid = _reduced(log, source, round(window_s * MICROS))
        cached, shares = _sharing(log, laid)
        zoned = sum(row.zoned for row in found.sums.values())
        return Demand(
            source=source,
            format=log.layout.format.name,
            window_s=laid.window_s,
            starts=laid.starts,
            **{**laid.series, "cached_prompt_tokens": cached},
            covered_s=laid.covered_s,
            rejected=rejections(log, found),
            duplicates=log.duplicates,
            time_zone_note=note(log.clock, found.sound, zoned),
            relative_time=log.clock.relative,
            prefix_share=_share(cached, laid.series["prompt_tokens"]),
            prefix_shares=shares,
            lengths=reduce.histogram(log.weighted, log.engine) if log.single else (),
            first=laid.first,
            last=laid.last,
            notes=(*log.notes, *laid.notes),
        )


def _reduced(log: OpenLog, source: str, width_us: int) -> tuple[Reduced, Windows]:
    if log.single:
        found = reduce.per_window(log.weighted, log.engine, width_us=width_us)
    else:
        found = reduce.per_instant(log.weighted, log.engine)
    if not found.sums:
        raise nothing_usable(source, rejections(log, found))
    if log.single:
        return found, windows.of_requests(found.sums, width_us=width_us)
    return found, windows.of_rows(found.sums, log.layout, asked_us=width_us)


def rejections(log: OpenLog, found: Reduced) -> tuple[Rejected, ...]:
    """What was not used: lines that never reached the engine, and rows by the reason's code."""
    names = [file.path.name for file in log.files]
    shown = reduce.first_lines(log.rows, log.engine, names) if log.lines else {}
    judged = tuple(
        Rejected(reason=log.reasons[code], rows=rows, example=shown.get(code, found.shown[code]))
        for code, rows in sorted(found.codes.items())
        if code
    )
    return (log.lines.rejected() if log.lines else ()) + judged


def nothing_usable(source: str, rejected: tuple[Rejected, ...]) -> UsageError:
    """The error for a log without a sound row."""
    if not rejected:
        return UsageError(f"{source} has no rows", hint="a log needs at least one request")
    worst = max(rejected, key=lambda found: found.rows)
    return UsageError(
        f"no row of {source} can be used: "
        + "; ".join(f"{found.rows:,} × {found.reason}" for found in rejected),
        hint=f"for example {worst.example}; --map FIELD=COLUMN names other columns",
    )


def _sharing(
    log: OpenLog, laid: Windows
) -> tuple[tuple[float | None, ...], tuple[PrefixShare, ...]]:
    """Cached prompt tokens per window, and the share by size of the cache.

    What the log counts itself rules; where it has block hashes, a cache of any size is meant.
    """
    logged = laid.series["cached_prompt_tokens"]
    size = prefix.block_tokens(log.head, log.layout)
    if size is None or not log.single or "block_hashes" not in log.rows.columns:
        return logged, ()
    prompts = prefix.stretch(log.rows, log.engine, size=size)
    shares = prefix.shares_by_size(prompts, size=size)
    if any(value is not None for value in logged):
        return logged, shares
    width_us = round(laid.window_s * MICROS)
    reused = prefix.reused_per_window(log.rows, log.engine, size=size, width_us=width_us)
    first = round((laid.starts[0] - windows.EPOCH).total_seconds() * MICROS) // width_us
    return tuple(
        None if requests is None else reused.get(first + i, 0.0)
        for i, requests in enumerate(laid.series["requests"])
    ), shares


def _share(cached: tuple[float | None, ...], prompts: tuple[float | None, ...]) -> float | None:
    pairs = [(c, p) for c, p in zip(cached, prompts, strict=True) if c is not None and p]
    if not pairs:
        return None
    return total([c for c, _ in pairs]) / total([p for _, p in pairs])

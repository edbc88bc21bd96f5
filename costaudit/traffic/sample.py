"""A stretch of a log as requests to replay: the one most like the whole."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.traffic import prefix, reduce
from costaudit.traffic.open_log import open_log
from costaudit.traffic.read import nothing_usable, rejections
from costaudit.traffic.traffic import Request, Traffic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.traffic.open_log import OpenLog
    from costaudit.traffic.reduce import Sum

MICROS = 1_000_000
LIMIT = 2000  # requests; enough for a p99 that an order statistic can bound
WIDTH_US = 60 * MICROS
WIDEST = 20_000  # windows looked at
ENGINE_BLOCK_TOKENS = 16  # vLLM's; without hashes it says nothing


def read_traffic(
    source: str,
    *,
    mapping: Mapping[str, str] | None = None,
    limit: int = LIMIT,
    backend: str | None = None,
) -> Traffic:
    """The requests of a log with their arrivals: all, or `limit` in a row where there are more.

    The stretch starts with the minute from which on rate and mean lengths are nearest to those of
    the whole log (medians over all such stretches); the first arrival is second 0. Block hashes
    come along, each as a number of its own.

    Raises:
        UsageError: the log cannot be read, or has no single requests but sums per window.
    """
    if limit < 1:
        raise UsageError(f"{limit} requests to replay", hint="at least one is needed")
    with open_log(source, mapping, backend) as log:
        if not log.single:
            raise UsageError(
                f"{source} has sums per window, not single requests, so none can be replayed",
                hint="its demand can be read; for a replay give a log of requests or a probe",
            )
        found = reduce.per_window(log.weighted, log.engine, width_us=WIDTH_US)
        if not found.sums:
            raise nothing_usable(source, rejections(log, found))
        start = _representative(found.sums, limit) * WIDTH_US
        return _traffic(source, log, _stretch(log, start, limit))


def _representative(sums: Mapping[int, Sum], limit: int) -> int:
    """The window from which on `limit` requests are most like all stretches of that many."""
    order = sorted(sums)
    if sum(sums[i].requests or 0 for i in order) <= limit:
        return order[0]
    found = _stretches([sums[i] for i in order], order, limit)
    middle = [median(stretch[axis] for _, stretch in found) for axis in range(3)]
    return min(found, key=lambda item: math.dist(item[1], middle))[0]


def _stretches(
    sums: Sequence[Sum], order: Sequence[int], limit: int
) -> list[tuple[int, tuple[float, float, float]]]:
    """Log of rate, mean prompt and mean output of the stretches of `limit` requests, by start."""
    found = []
    end, requests, prompts, outputs = 0, 0.0, 0.0, 0.0
    step = max(1, len(sums) // WIDEST)
    for first in range(len(sums)):
        while end < len(sums) and requests < limit:
            requests += sums[end].requests or 0
            prompts += sums[end].prompt_tokens
            outputs += sums[end].output_tokens
            end += 1
        if requests < limit:
            break
        if first % step == 0:
            minutes = order[end - 1] - order[first] + 1
            rate, prompt, output = requests / minutes, prompts / requests, outputs / requests
            found.append((order[first], (math.log(rate), math.log(prompt), math.log(output))))
        requests -= sums[first].requests or 0
        prompts -= sums[first].prompt_tokens
        outputs -= sums[first].output_tokens
    return found


def _stretch(log: OpenLog, start_us: int, limit: int) -> list[dict[str, Any]]:
    """`limit` sound rows in order of arrival, the same on every engine."""
    rows = log.rows.filter((log.rows.code == 0) & (log.rows.time_us >= start_us))
    size = _block_tokens(log)
    columns = ["time_us", "prompt_tokens", "output_tokens"]
    if size is not None:
        hashes = prefix.block_list(rows.block_hashes)
        rows = rows.mutate(blocks=hashes[: (rows.prompt_tokens / size).floor().cast("int64")])
        columns.append("blocks")
    ordered = rows.select(*columns).order_by("time_us", "prompt_tokens", "output_tokens")
    found = log.engine.records(ordered.limit(limit))
    return sorted(found, key=lambda r: (r["time_us"], r["prompt_tokens"], r["output_tokens"]))


def _traffic(source: str, log: OpenLog, rows: Sequence[Mapping[str, Any]]) -> Traffic:
    first, last = rows[0]["time_us"], rows[-1]["time_us"]
    numbers: dict[Any, int] = {}
    return Traffic(
        source=source,
        requests=tuple(
            Request(
                prompt_tokens=int(row["prompt_tokens"]),
                output_tokens=int(row["output_tokens"]),
                arrival_s=(row["time_us"] - first) / MICROS,
                block_hashes=tuple(
                    numbers.setdefault(block, len(numbers)) for block in row.get("blocks") or ()
                ),
            )
            for row in rows
        ),
        window_s=(last - first) / MICROS or None,
        hash_block_tokens=_block_tokens(log) or ENGINE_BLOCK_TOKENS,
    )


def _block_tokens(log: OpenLog) -> int | None:
    return prefix.block_tokens(log.head, log.layout) if "block_hashes" in log.rows.columns else None

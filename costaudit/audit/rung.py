"""One rung as a document: what `costaudit profile URL --rung` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.measure.latency import Latencies
    from costaudit.record.client.load import Endpoint, Rung, RungEnd

SCHEMA = "costaudit.rung/1"
_LOAD = ("concurrency", "requests", "timeout_s", "window_s")
_LATENCIES = ("ttft", "itl", "chunk_gap", "tpot", "e2e")


def rung_document(
    endpoint: Endpoint,
    rung: Rung,
    end: RungEnd,
    latencies: Latencies,
    *,
    arrivals: Mapping[str, object],
    dialect: str,
    model: str,
    notes: Sequence[str] = (),
    process_s: float,
    peak_rss_bytes: int,
) -> dict[str, object]:
    """Everything that one rung showed, ready for JSON; times in seconds, shares from 0 to 1.

    `arrivals` says when requests were meant to start; empty: in a closed loop; `notes`
    what was corrected. `process_s` is the
    age of the process: its excess over the load is the rung's fixed time. Percentiles without
    samples are null; `enough` tells whether one is backed by enough of them.
    """
    return {
        "schema": SCHEMA,
        "url": endpoint.base_url,
        "model": model,
        "dialect": dialect,
        "notes": list(notes),
        "load": {**{name: getattr(rung, name) for name in _LOAD}, **arrivals},
        "began_unix_s": end.began_unix_s,
        "wall_s": end.wall_s,
        "fixed_s": max(0.0, process_s - end.wall_s),
        "stopped": end.stopped,
        **_counts(end, latencies),
        "latency": {f"{name}_s": asdict(getattr(latencies, name).spread()) for name in _LATENCIES},
        "client": {**asdict(end.health), "peak_rss_bytes": peak_rss_bytes},
    }


def _counts(end: RungEnd, seen: Latencies) -> dict[str, object]:
    """Requests and tokens, and how many a second."""
    wall_s, tokens = end.wall_s, seen.output_tokens
    return {
        "requests": {
            "sent": end.sent,
            "failed": end.failed,
            "per_s": seen.answers / wall_s if wall_s > 0 else None,
            "errors": [{"error": text, "count": n} for text, n in seen.errors.most_common()],
        },
        "tokens": {
            "prompt": seen.prompt_tokens,
            "output": tokens,
            "output_per_s": tokens / wall_s if wall_s > 0 else None,
            "answers_untold": seen.untold,
            "client_cpu_s_per_1k": 1000 * end.health.cpu_s / tokens if tokens else None,
        },
    }

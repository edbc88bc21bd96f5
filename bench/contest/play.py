"""One tool in one scene: what it reported, what was true, what it cost."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contest import process, tokenizer, truth
from contest.peer import Load, Peer, PeerFailedError, Seen
from contest.scenes import PROMPT_TOKENS, Scene
from costaudit.ground.stats import median

if TYPE_CHECKING:
    from contest.process import Ran
    from contest.truth import Truth

PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came out. Errors are reported minus logged; None: not known.

    Attributes:
        received: requests that the server saw, of `asked`.
        ttft_p50_bound_ms, ttft_p99_bound_ms, itl_p99_bound_ms: by how much its own delay could
            have moved a figure, as the tool says.
        ttft_samples, itl_samples: that a percentile stands on.
        shared_events: events that the tool read together with an earlier one, as it says.
        requests_per_s: as the server saw them, from the first arrival to the last token.
        cpu_s_per_1k_tokens: of everything the tool did, start-up and report included.
        load_cpu_s_per_1k_tokens: while the server was busy.
        fixed_s: wall time without the time between first arrival and last token.
        load_average: of the machine, over the minute before.
        problem: why there are no figures of the tool; empty: there are.
    """

    scene: str
    kind: str
    peer: str
    version: str
    streams: int
    asked: int
    received: int | None = None
    failed: int | None = None
    connections: int | None = None
    ttft_p50_ms: float | None = None
    ttft_p50_error_ms: float | None = None
    ttft_p99_error_ms: float | None = None
    true_ttft_p99_ms: float | None = None
    ttft_p50_bound_ms: float | None = None
    ttft_p99_bound_ms: float | None = None
    itl_p50_ms: float | None = None
    itl_p50_error_ms: float | None = None
    itl_p99_ms: float | None = None
    itl_p99_error_ms: float | None = None
    itl_p99_bound_ms: float | None = None
    true_itl_p99_ms: float | None = None
    ttft_samples: int = 0
    itl_samples: int = 0
    shared_events: int | None = None
    tpot_p50_ms: float | None = None
    requests_per_s: float | None = None
    tokens_per_s: float | None = None
    cpu_s_per_1k_tokens: float | None = None
    load_cpu_s_per_1k_tokens: float | None = None
    peak_rss_mb: float | None = None
    processes: int | None = None
    wall_s: float | None = None
    fixed_s: float | None = None
    load_average: float | None = None
    runs: int = 1
    remark: str = ""
    problem: str = ""


def play(peer: Peer, folder: Path, scene: Scene) -> Row:
    """Run the tool against a fresh server."""
    asked = scene.requests_of(peer)
    load_average = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="costaudit-bench-") as scratch:
        with truth.serving((*scene.options, "-n", str(scene.tokens))) as url:
            load = Load(
                url=url,
                model=truth.MODEL,
                streams=scene.streams,
                requests=asked,
                prompt_tokens=PROMPT_TOKENS,
                output_tokens=scene.tokens,
                tokenizer=tokenizer.folder(),
                scratch=Path(scratch),
            )
            ran = process.run(
                peer.command(folder, load), peer.environ, folder=load.scratch, timeout_s=PATIENCE_S
            )
            true = truth.told(url, tokens=scene.tokens, per_chunk=scene.per_chunk)
        seen, problem = _report(peer, load, ran)
    row: dict[str, Any] = {
        "scene": scene.name,
        "kind": scene.kind,
        "peer": peer.name,
        "version": peer.version,
        "streams": scene.streams,
        "asked": asked,
        "load_average": load_average,
        "problem": problem,
    }
    return Row(**row, **_reported(seen), **_errors(seen, true), **_costs(ran, true))


def _report(peer: Peer, load: Load, ran: Ran) -> tuple[Seen | None, str]:
    """What the tool reported, or why it did not."""
    if ran.exit_code is None:
        return None, f"it was still running after {PATIENCE_S:.0f} s"
    try:
        return peer.read(load), ""
    except (OSError, ValueError, KeyError, IndexError, TypeError, PeerFailedError) as error:
        lines = (load.scratch / "printed").read_text(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
        why = f"no report ({type(error).__name__}: {error})"
        return None, f"{why}; exit code {ran.exit_code}; it said: {said[:200]}"


def _reported(seen: Seen | None) -> dict[str, Any]:
    if seen is None:
        return {}
    wanted = {field.name for field in fields(Row)}
    return {name: value for name, value in asdict(seen).items() if name in wanted}


def _errors(seen: Seen | None, true: Truth | None) -> dict[str, Any]:
    """Reported minus logged, where both are known."""
    if true is None:
        return {}
    known: dict[str, Any] = {
        "ttft_samples": true.answered,
        "itl_samples": true.tokens - true.answered,
        "true_ttft_p99_ms": true.ttft_p99_ms,
        "true_itl_p99_ms": true.itl_p99_ms,
    }
    for name in ("ttft_p50_ms", "ttft_p99_ms", "itl_p50_ms", "itl_p99_ms"):
        reported, logged = getattr(seen, name, None), getattr(true, name)
        if reported is not None and logged is not None:
            known[name.replace("_ms", "_error_ms")] = reported - logged
    return known


def _costs(ran: Ran, true: Truth | None) -> dict[str, Any]:
    costs: dict[str, Any] = {
        "peak_rss_mb": ran.peak_rss_bytes / 1e6,
        "processes": ran.processes,
        "wall_s": ran.wall_s,
    }
    if true is None:
        return {**costs, "received": 0}
    load_cpu_s = ran.cpu_between(true.began_ns / 1e9, true.ended_ns / 1e9)
    return {
        **costs,
        "received": true.requests,
        "connections": true.accepts,
        "requests_per_s": true.answered / true.span_s,
        "tokens_per_s": true.tokens / true.span_s,
        "cpu_s_per_1k_tokens": 1e3 * ran.cpu_s / true.tokens,
        "load_cpu_s_per_1k_tokens": 1e3 * load_cpu_s / true.tokens,
        "fixed_s": ran.wall_s - true.span_s,
    }


def middle(rows: list[Row]) -> Row:
    """The median of each figure over runs of the same tool in the same scene."""
    told = [asdict(row) for row in rows]
    middles: dict[str, Any] = {**told[0], "runs": len(rows)}
    for name, first in told[0].items():
        values = [row[name] for row in told if row[name] is not None]
        if name in {"remark", "problem"}:
            middles[name] = "; ".join(dict.fromkeys(filter(None, values)))
        elif name != "runs" and values and not isinstance(first, str):
            whole = all(isinstance(value, int) for value in values)
            middles[name] = round(median(values)) if whole else median(values)
    return Row(**middles)

"""servebench: one process, aiohttp."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contest.install import Step, make_venv
from contest.peer import Load, Peer, Seen, milliseconds

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "1.1.3"


def install(folder: Path, step: Step) -> None:
    """243 MB."""
    make_venv(folder, step, f"servebench=={VERSION}")


def command(folder: Path, load: Load) -> list[str | Path]:
    """Without the two requests that it sends for warming up."""
    return [
        *(folder / "bin/servebench", "run", "--url", f"{load.url}/v1", "--model", load.model),
        *("--concurrency", str(load.streams), "--num-requests", str(load.requests)),
        *("--input-len", str(load.prompt_tokens), "--output-len", str(load.output_tokens)),
        *("--warmup", "0", "--no-gpu", "--seed", "1", "--out", "run.json"),
    ]


def read(load: Load) -> Seen:
    """From the run that it saves."""
    return seen(json.loads((load.scratch / "run.json").read_text()))


def seen(run: dict[str, Any]) -> Seen:
    """From its only level."""
    level = run["levels"][0]
    told = level["summary"]
    lag_ms = level["client_lag_p99_ms"]
    return Seen(
        ttft_p50_ms=milliseconds(told["ttft"]["p50"]),
        ttft_p99_ms=milliseconds(told["ttft"]["p99"]),
        itl_p50_ms=milliseconds(told["itl"]["p50"]),
        itl_p99_ms=milliseconds(told["itl"]["p99"]),
        tpot_p50_ms=milliseconds(told["tpot"]["p50"]),
        failed=told["failed"],
        # its own report calls the client the bottleneck from 50 ms
        remark=f"client lag p99 {lag_ms:.0f} ms" if lag_ms and lag_ms > 50 else "",
    )


PEER = Peer(
    name="servebench",
    version=VERSION,
    install=install,
    command=command,
    read=read,
    requests_per_s=800,
)

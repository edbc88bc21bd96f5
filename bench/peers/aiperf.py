"""AIPerf of NVIDIA: many processes, aiohttp, ZeroMQ between them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contest.install import Step, make_venv
from contest.peer import Load, Peer, Seen

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.13.0"


def install(folder: Path, step: Step) -> None:
    """1.2 GB."""
    make_venv(folder, step, f"aiperf=={VERSION}")


def command(folder: Path, load: Load) -> list[str | Path]:
    """Tokens as the server counts them, and no other instruments beside the client."""
    return [
        *(folder / "bin/aiperf", "profile", "--model", load.model, "--url", load.url),
        *("--endpoint-type", "chat", "--streaming", "--tokenizer", load.tokenizer),
        *("--concurrency", str(load.streams), "--request-count", str(load.requests)),
        *("--isl", str(load.prompt_tokens), "--osl", str(load.output_tokens)),
        *("--use-server-token-count", "--no-server-metrics", "--no-gpu-telemetry"),
        *("--ui", "none", "--export-level", "summary", "--artifact-dir", "artifacts"),
    ]


def read(load: Load) -> Seen:
    """From its export."""
    return seen(json.loads((load.scratch / "artifacts/profile_export_aiperf.json").read_text()))


def seen(told: dict[str, Any]) -> Seen:
    """Its metrics are in milliseconds."""
    ttft, itl = told["time_to_first_token"], told["inter_token_latency"]
    errors = told.get("error_request_count") or {"avg": 0}
    return Seen(
        ttft_p50_ms=ttft["p50"],
        ttft_p99_ms=ttft["p99"],
        itl_p50_ms=itl["p50"],
        itl_p99_ms=itl["p99"],
        failed=int(errors["avg"]),
    )


PEER = Peer(
    name="aiperf",
    version=VERSION,
    install=install,
    command=command,
    read=read,
    requests_per_s=250,
    note="its ITL is the mean of each request",
)

"""costaudit itself, as a user starts it: the whole program, start-up included."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from contest.peer import Load, Peer, PeerFailedError, Seen, milliseconds

from costaudit import __version__


def command(_folder: Path, load: Load) -> list[str | Path]:
    """One rung alone, of the program beside this Python."""
    beside = Path(sys.executable).with_name("costaudit")
    program = beside if beside.exists() else shutil.which("costaudit")
    if program is None:
        raise PeerFailedError("the program `costaudit` is not installed in this environment")
    return [
        *(program, "profile", load.url, "--json"),
        *("--rung", f"{load.streams}x{load.requests}"),
        *("--prompt-tokens", str(load.prompt_tokens)),
        *("--output-tokens", str(load.output_tokens)),
    ]


def read(load: Load) -> Seen:
    """From the JSON that it prints."""
    return seen(json.loads((load.scratch / "printed").read_text()))


def seen(told: dict[str, Any]) -> Seen:
    """From a document of the schema `costaudit.rung/1`."""

    def of(latency: str, percentile: str, field: str = "value_s") -> float | None:
        found = told["latency"][f"{latency}_s"][percentile]
        return None if found is None else milliseconds(found[field])

    bound = "client_error_s"

    return Seen(
        ttft_p50_ms=of("ttft", "p50"),
        ttft_p99_ms=of("ttft", "p99"),
        itl_p50_ms=of("itl", "p50"),
        itl_p99_ms=of("itl", "p99"),
        tpot_p50_ms=of("tpot", "p50"),
        ttft_p50_bound_ms=of("ttft", "p50", bound),
        ttft_p99_bound_ms=of("ttft", "p99", bound),
        itl_p99_bound_ms=of("itl", "p99", bound),
        shared_events=told["client"]["shared_events"],
        failed=told["requests"]["failed"],
        remark=told["client"]["why"],
    )


PEER = Peer(name="costaudit", version=__version__, command=command, read=read, requests_per_s=4_000)

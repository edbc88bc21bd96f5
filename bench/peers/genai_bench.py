"""genai-bench of SGLang: one process, gevent and requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contest.install import Step, make_venv
from contest.peer import OFFLINE, Load, Peer, PeerFailedError, Seen

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.0.5"
FOLDER = "experiment"


def install(folder: Path, step: Step) -> None:
    """1.3 GB."""
    make_venv(folder, step, f"genai-bench=={VERSION}")


def command(folder: Path, load: Load) -> list[str | Path]:
    """In one process: with workers it sends far more requests than asked."""
    return [
        *(folder / "bin/genai-bench", "benchmark", "--api-backend", "openai"),
        *("--task", "text-to-text", "--api-base", load.url, "--api-key", "none"),
        *("--api-model-name", load.model, "--model", load.model),
        *("--model-tokenizer", load.tokenizer, "--num-concurrency", str(load.streams)),
        *("--traffic-scenario", f"D({load.prompt_tokens},{load.output_tokens})"),
        *("--max-requests-per-run", str(load.requests), "--max-time-per-run", "5"),
        *("--experiment-base-dir", load.scratch, "--experiment-folder-name", FOLDER),
        *("--metrics-time-unit", "ms", "--metrics-refresh-interval", "60"),
    ]


def read(load: Load) -> Seen:
    """From the file of its only run."""
    runs = [*(load.scratch / FOLDER).glob("D*_num_concurrency_*.json")]
    if len(runs) != 1:
        raise PeerFailedError("it saved no run")
    return seen(json.loads(runs[0].read_text()))


def seen(run: dict[str, Any]) -> Seen:
    """Its time per output token is the only latency between tokens that it reports."""
    told = run["aggregated_metrics"]
    ttft, tpot = told["stats"]["ttft"], told["stats"]["tpot"]
    return Seen(
        ttft_p50_ms=ttft["p50"],
        ttft_p99_ms=ttft["p99"],
        itl_p50_ms=tpot["p50"],
        itl_p99_ms=tpot["p99"],
        tpot_p50_ms=tpot["p50"],
        failed=told["num_error_requests"],
    )


PEER = Peer(
    name="genai-bench",
    version=VERSION,
    install=install,
    command=command,
    read=read,
    environ=OFFLINE,
    requests_per_s=80,
    note="it reports no ITL; its TPOT, the mean of each request, stands there",
)

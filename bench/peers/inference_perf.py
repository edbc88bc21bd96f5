"""inference-perf of Kubernetes: one process for each core, aiohttp."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from contest.install import Step, make_venv
from contest.peer import OFFLINE, Load, Peer, Seen, milliseconds

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.7.0"


def install(folder: Path, step: Step) -> None:
    """788 MB; it needs Python 3.12."""
    make_venv(folder, step, f"inference-perf=={VERSION}", least_python=(3, 12))


def command(folder: Path, load: Load) -> list[str | Path]:
    """Chat from a file: its synthetic data go to the completions API only."""
    talk = [
        {"from": "human", "value": " the" * load.prompt_tokens},
        {"from": "gpt", "value": " of"},
    ]
    line = json.dumps({"conversations": talk})
    # It leaves the first conversation out, and begins again at the end.
    (load.scratch / "talks.json").write_text(f"{line}\n" * (load.requests + 1))
    config = load.scratch / "config.json"
    config.write_text(json.dumps(configuration(load)))
    return [folder / "bin/inference-perf", "--config_file", config]


def configuration(load: Load) -> dict[str, Any]:
    """JSON is YAML."""
    stage = {"num_requests": load.requests, "concurrency_level": load.streams}
    workers = os.cpu_count() or 1
    return {
        "api": {"type": "chat", "streaming": True},
        "data": {"type": "shareGPT", "path": str(load.scratch / "talks.json")},
        "load": {
            "type": "concurrent",
            "interval": 0,
            "num_workers": workers,
            "worker_max_concurrency": load.streams,
            "stages": [stage],
        },
        "server": {"type": "vllm", "model_name": load.model, "base_url": load.url},
        "tokenizer": {"pretrained_model_name_or_path": str(load.tokenizer)},
        "report": {"request_lifecycle": {"summary": True, "per_stage": False}},
        "storage": {"local_storage": {"path": str(load.scratch / "reports")}},
    }


def read(load: Load) -> Seen:
    """From its summary."""
    summary = load.scratch / "reports/summary_lifecycle_metrics.json"
    return seen(json.loads(summary.read_text()))


def seen(told: dict[str, Any]) -> Seen:
    """Its latencies are in seconds; null where it could not tell the tokens apart."""
    latency = told["successes"]["latency"]
    ttft, itl, tpot = (
        latency[name] or {}
        for name in ("time_to_first_token", "inter_token_latency", "time_per_output_token")
    )
    return Seen(
        ttft_p50_ms=milliseconds(ttft.get("median")),
        ttft_p99_ms=milliseconds(ttft.get("p99")),
        itl_p50_ms=milliseconds(itl.get("median")),
        itl_p99_ms=milliseconds(itl.get("p99")),
        tpot_p50_ms=milliseconds(tpot.get("median")),
        failed=told["failures"]["count"],
    )


PEER = Peer(
    name="inference-perf",
    version=VERSION,
    install=install,
    command=command,
    read=read,
    environ=OFFLINE,
    requests_per_s=300,
)

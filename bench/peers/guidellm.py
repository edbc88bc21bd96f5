"""GuideLLM: many processes, httpx."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contest.install import Step, make_venv
from contest.peer import OFFLINE, Load, Peer, Seen

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "0.8.1"


def install(folder: Path, step: Step) -> None:
    """1.5 GB, half of it torch, which it asks for."""
    make_venv(folder, step, f"guidellm=={VERSION}")


def command(folder: Path, load: Load) -> list[str | Path]:
    """Chat completions from synthetic text, a fixed number of streams."""
    backend = f"kind=openai_http,target={load.url},model={load.model},validate_backend=false"
    tokens = f"prompt_tokens={load.prompt_tokens},output_tokens={load.output_tokens}"
    return [
        *(folder / "bin/guidellm", "run", "--disable-console"),
        *("--backend", f"{backend},request_format=/v1/chat/completions"),
        *("--profile", f"kind=concurrent,streams={load.streams}"),
        *("--constraint", f"kind=max_requests,count={load.requests}"),
        *("--tokenizer", f"kind=huggingface_auto,model={load.tokenizer}"),
        *("--data", f"kind=synthetic_text,{tokens}"),
        *("--output", "kind=json,path=report.json"),
    ]


def read(load: Load) -> Seen:
    """From the report that it saves."""
    return seen(json.loads((load.scratch / "report.json").read_text()))


def seen(report: dict[str, Any]) -> Seen:
    """From its only benchmark; its time per output token holds the TTFT and is no TPOT."""
    told = report["benchmarks"][0]["metrics"]
    ttft = told["time_to_first_token_ms"]["successful"]["percentiles"]
    itl = told["inter_token_latency_ms"]["successful"]["percentiles"]
    return Seen(
        ttft_p50_ms=ttft["p50"],
        ttft_p99_ms=ttft["p99"],
        itl_p50_ms=itl["p50"],
        itl_p99_ms=itl["p99"],
        failed=told["request_totals"]["errored"],
    )


PEER = Peer(
    name="guidellm",
    version=VERSION,
    install=install,
    command=command,
    read=read,
    environ=OFFLINE,
    requests_per_s=150,
    note="its ITL is the mean of each request",
)

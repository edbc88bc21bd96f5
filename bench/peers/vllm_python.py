"""`vllm bench serve`, the client in Python, of the vLLM that the tests install."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contest.peer import OFFLINE, Load, Peer, Seen
from parts.vllm_cpu import ENVIRON, PART, VERSION

if TYPE_CHECKING:
    from pathlib import Path


def command(folder: Path, load: Load) -> list[str | Path]:
    """It sends one request more than asked, to try the server."""
    return [
        *(folder / "bin/vllm", "bench", "serve"),
        *("--dataset-name", "random", "--random-input-len", str(load.prompt_tokens)),
        *("--random-output-len", str(load.output_tokens)),
        *flags(load),
    ]


def flags(load: Load) -> list[str]:
    """What both clients understand."""
    return [
        *("--backend", "openai-chat", "--base-url", load.url),
        *("--endpoint", "/v1/chat/completions", "--model", load.model),
        *("--tokenizer", str(load.tokenizer), "--ignore-eos", "--disable-tqdm"),
        *("--num-prompts", str(load.requests), "--max-concurrency", str(load.streams)),
        *("--percentile-metrics", "ttft,tpot,itl", "--metric-percentiles", "50,99"),
        *("--save-result", "--result-filename", "result.json"),
    ]


def read(load: Load) -> Seen:
    """From the result that it saves."""
    return seen(json.loads((load.scratch / "result.json").read_text()))


def seen(told: dict[str, Any]) -> Seen:
    """Both clients write it alike."""
    return Seen(
        ttft_p50_ms=told["p50_ttft_ms"],
        ttft_p99_ms=told["p99_ttft_ms"],
        itl_p50_ms=told["p50_itl_ms"],
        itl_p99_ms=told["p99_itl_ms"],
        tpot_p50_ms=told["p50_tpot_ms"],
        failed=told["failed"],
    )


PEER = Peer(
    name="vllm-python",
    version=VERSION,
    part=PART,
    command=command,
    read=read,
    environ=ENVIRON | OFFLINE,
    requests_per_s=600,
    note="it tries the server with one request first, which its requests/s here include",
)

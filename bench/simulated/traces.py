"""Traffic for the bench: drawn, or read from a trace."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from costaudit.traffic.traffic import Request, Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE_PER_S = 24.0  # near what the bench's scenario serves, so that its queue neither dies nor grows
SHARED_PREFIXES = 200
PREFIX_TOKENS = 256
MOONCAKE_BLOCK_TOKENS = 512
MS_PER_S = 1e3


def synthetic(count: int, seed: int = 0) -> Traffic:
    """Poisson arrivals, log-normal lengths, four requests in ten with one of the prefixes."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / RATE_PER_S, count))
    prompts = np.clip(rng.lognormal(6.0, 0.8, count), 8, 8000).astype(int)
    outputs = np.clip(rng.lognormal(4.8, 0.8, count), 1, 2000).astype(int)
    prefixes = np.where(rng.random(count) < 0.4, rng.integers(0, SHARED_PREFIXES, count), -1)
    columns = (arrivals.tolist(), prompts.tolist(), outputs.tolist(), prefixes.tolist())
    requests = tuple(
        Request(
            arrival_s=arrival_s,
            prompt_tokens=prompt,
            output_tokens=output,
            prefix_id=None if prefix < 0 else prefix,
            prefix_tokens=0 if prefix < 0 else PREFIX_TOKENS,
        )
        for arrival_s, prompt, output, prefix in zip(*columns, strict=True)
    )
    return Traffic(source="synthetic", requests=requests)


def read_trace(path: Path, most: int) -> Traffic:
    """The first `most` requests of a trace, from its first arrival on."""
    rows = _mooncake(path) if path.suffix == ".jsonl" else _csv(path)
    requests = tuple(row for row, _ in zip(rows, range(most), strict=False))
    grain = MOONCAKE_BLOCK_TOKENS if path.suffix == ".jsonl" else 16
    return Traffic(source=str(path), requests=requests, hash_block_tokens=grain)


def _mooncake(path: Path) -> Iterator[Request]:
    with path.open() as lines:
        for line in lines:
            row = json.loads(line)
            yield Request(
                arrival_s=row["timestamp"] / MS_PER_S,
                prompt_tokens=max(row["input_length"], 1),
                output_tokens=row["output_length"],
                block_hashes=tuple(row["hash_ids"]),
            )


def _csv(path: Path) -> Iterator[Request]:
    with path.open(newline="") as lines:
        rows = csv.reader(lines)
        names = {name: place for place, name in enumerate(next(rows))}
        azure = "TIMESTAMP" in names
        at = names["TIMESTAMP" if azure else "arrival_s"]
        prompt = names["ContextTokens" if azure else "prompt_tokens"]
        output = names["GeneratedTokens" if azure else "output_tokens"]
        hashes = names.get("hash_ids")
        first_s = None
        for row in rows:
            at_s = _azure_s(row[at]) if azure else float(row[at])
            first_s = at_s if first_s is None else first_s
            yield Request(
                arrival_s=at_s - first_s,
                prompt_tokens=max(int(row[prompt]), 1),
                output_tokens=int(row[output]),
                block_hashes=tuple(map(int, row[hashes].split())) if hashes is not None else (),
            )


def _azure_s(stamp: str) -> float:
    return datetime.fromisoformat(stamp[:26]).timestamp()  # seven decimals are one too many

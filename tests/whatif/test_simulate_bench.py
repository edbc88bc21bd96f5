"""The bench of the simulation: its traces, and that it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def traces(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    from simulated import traces

    return traces


def test_reads_a_csv_with_and_without_hashes(traces, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,prompt_tokens,output_tokens,hash_ids\n5.5,40,3,1 2\n6.0,20,1,\n")
    traffic = traces.read_trace(path, 10)
    first, second = traffic.requests
    assert (first.arrival_s, first.prompt_tokens, first.output_tokens) == (0.0, 40, 3)
    assert first.block_hashes == (1, 2)
    assert (second.arrival_s, second.block_hashes) == (0.5, ())
    assert len(traces.read_trace(path, 1).requests) == 1


def test_reads_the_public_forms(traces, tmp_path):
    azure = tmp_path / "azure.csv"
    azure.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:05.0000000,110,27\n"
    )
    requests = traces.read_trace(azure, 10).requests
    assert requests[1].arrival_s == pytest.approx(1.02004, abs=1e-6)
    assert requests[1].output_tokens == 27
    mooncake = tmp_path / "mooncake.jsonl"
    row = {"timestamp": 1500, "input_length": 1030, "output_length": 6, "hash_ids": [0, 1, 2]}
    mooncake.write_text(json.dumps(row) + "\n")
    traffic = traces.read_trace(mooncake, 10)
    assert traffic.requests[0].arrival_s == 1.5
    assert traffic.requests[0].block_hashes == (0, 1, 2)
    assert traffic.hash_block_tokens == 512


@pytest.mark.slow
def test_it_tells_seconds_memory_and_the_plan():
    command = [sys.executable, "bench/simulate.py", "--synthetic", "2000", "--sweep", "--json"]
    done = subprocess.run(
        command, cwd=BENCH.parent, capture_output=True, text=True, timeout=240, check=False
    )
    told = json.loads(done.stdout)
    (row,) = told["sizes"]
    assert row["requests"] == 2000
    assert 0 < row["cpu_s"] < 5
    assert row["peak_gib"] < 2
    assert told["sweep"]["simulations"] > 50
    assert done.returncode == (0 if told["passed"] else 1)

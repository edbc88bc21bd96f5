"""The bench's contenders find the same, and it says what missed its bar."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "traffic.py"


@pytest.mark.slow
def test_all_contenders_find_the_same_sums():
    done = subprocess.run(
        [sys.executable, BENCH, "--rows", "20000", "--runs", "1", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    sums = [run["sums"] for run in found["contenders"].values()]
    assert len(sums) == 3
    assert sums[0] == sums[1] == sums[2]
    requests, _, _, repeats, broken, hours, cells = sums[0]
    assert requests + repeats + broken == 20_000
    assert (repeats, broken, hours) == (20, 4, 672)
    assert cells > 100
    assert not [miss for miss in found["missed"] if "different" in miss]

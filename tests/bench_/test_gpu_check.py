"""The GPU check: without a GPU it says so; its table tells a missed bar from a missing figure."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from gpu.rows import Row, Table  # noqa: E402 - found through the line above


def test_without_a_gpu_it_says_so_and_leaves_with_5() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "gpu_check.py")],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert "nothing was measured" in done.stderr
    assert not done.stdout


def test_a_bar_is_met_missed_or_not_measured() -> None:
    assert Row(what="a", value=0.9, low=0.8).verdict == "met"
    assert Row(what="a", value=1.2, low=0.95, high=1.05).verdict == "missed"
    assert Row(what="a", value=None, low=0.8).verdict == "not measured"
    assert Row(what="a", value=3).verdict == ""


def test_a_subject_that_fails_or_comes_late_costs_its_own_row_only() -> None:
    table = Table(until=time.monotonic() + 60)
    table.measure("fails", 1, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    table.measure("late", 120, list)
    table.measure("well", 1, lambda: [Row(what="well", value=1.0)])
    assert [(row.what, row.value) for row in table.rows] == [
        ("fails", None),
        ("late", None),
        ("well", 1.0),
    ]
    assert "ZeroDivisionError" in table.rows[0].why
    assert "left for it" in table.rows[1].why

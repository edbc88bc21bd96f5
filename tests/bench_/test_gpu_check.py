"""The GPU check: what it says without a GPU, its table, and a rehearsal of all of it on a CPU."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import gpu_check  # noqa: E402 - found through the line above
from gpu.rows import Row, Table  # noqa: E402


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
    table = Table(seconds=60)
    table.measure("fails", 0.1, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    table.measure("late", 1.5, list)
    table.measure("well", 0.1, lambda: [Row(what="well", value=1.0)])
    assert [(row.what, row.value) for row in table.rows] == [
        ("fails", None),
        ("late", None),
        ("well", 1.0),
    ]
    assert "ZeroDivisionError" in table.rows[0].why
    assert "left for it" in table.rows[1].why


def test_a_subject_is_stopped_and_its_rows_so_far_are_kept_and_told() -> None:
    told: list[str] = []
    table = Table(seconds=10, tell=lambda row: told.append(row.text))

    def endless() -> Iterator[Row]:
        yield Row(what="first", value=0.5, low=0.8, why="a remark")
        while True:
            time.sleep(0.01)

    began = time.monotonic()
    table.measure("endless", 0.01, endless)
    table.measure("after it", 0.01, lambda: [Row(what="second", value=2.0, unit="x", high=3)])
    assert time.monotonic() - began < 5
    assert [row.verdict for row in table.rows] == ["missed", "not measured", "met"]
    assert "its part of the time was over" in table.rows[1].why
    assert " ".join(told[0].split()) == "first 0.5 at least 0.8 missed (a remark)"
    assert " ".join(told[2].split()) == "second 2 x at most 3 met"
    assert set(table.took_s) == {"endless", "after it"}


def test_the_parts_of_the_time_leave_some_for_loading() -> None:
    assert 0.9 < math.fsum(gpu_check.SHARES.values()) < 0.97


@pytest.mark.slow
def test_every_subject_is_rehearsed_on_a_cpu(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, BENCH / "gpu_check.py", "--rehearse", "--json", "--into", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (kept,) = tmp_path.glob("gpu-check-*.json")
    assert json.loads(kept.read_text())["rows"] == found["rows"]
    assert kept.stat().st_size < 200_000
    assert set(found["seconds_by_subject"]) == set(gpu_check.SHARES)
    failed = {row["what"]: row["why"] for row in found["rows"] if row["what"] in gpu_check.SHARES}
    assert failed == {"cuda-graphs": "a CPU launches no kernels"}
    measured = {row["what"] for row in found["rows"] if row["value"] is not None}
    assert len(measured) >= 40
    for part in (
        "decode MBU", "prefill MFU", "probes, 3 unseen points: median",
        "int4-weights weights: predicted",
        "fp8 weights: measured", "KV cache bf16 to FP8: predicted", "continuous-batching: gpu_s",
        "predicted against measured, median", "instruments on over off", "eight identical",
        "one prompt of 128 tokens", "perplexity, int4-weights", "perplexity, KV cache in fp8",
        "pressure ramp", "refused before it is tried", "after the allocator gave up",
        "1M tokens, continuous batches, fp8", "page and batch first is cheaper",
    ):  # fmt: skip
        assert any(part in what for what in measured), part
    untold = {row["what"]: row["why"] for row in found["rows"] if row["value"] is None}
    for part in ("decode: dram__bytes of Nsight", "prefill: DRAM bytes by GPM", "clocks held down"):
        assert any(part in what and why for what, why in untold.items()), part

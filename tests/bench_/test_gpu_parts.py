"""Parts of the GPU check that need no GPU: Nsight Compute's CSV, and bytes kernel by kernel."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from gpu import ncu  # noqa: E402 - found through the line above
from gpu.kernel_bytes import bytes_of, distinct_bytes  # noqa: E402

# The columns of `ncu --csv` with --metrics (Nsight Compute CLI documentation, "Command line
# profiler metrics"); the values are made up.
HEAD = (
    '"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size",'
    '"Grid Size","Device","CC","Section Name","Metric Name","Metric Unit","Metric Value"'
)
FAKE = """#!{python}
import os, sys
words = sys.argv[1:]
log = words[words.index("--log-file") + 1]
open(os.environ["KEPT"], "w").write("\\n".join(words))
open(log, "w").write(open(os.environ["SAYS"]).read())
sys.exit(int(os.environ.get("CODE", "0")))
"""


def line(number: int, name: str, unit: str, value: str) -> str:
    return (
        f'"{number}","77","python","here","void gemm<128, 64>(float *, int)","1","7",'
        f'"(128, 1, 1)","(64, 1, 1)","0","9.0","Command line profiler metrics","{name}",'
        f'"{unit}","{value}"'
    )


TOLD = "\n".join([
    "==PROF== Connected to process 77 (/usr/bin/python)",
    HEAD,
    line(0, "dram__bytes.sum", "byte", "1,048,576"),
    line(0, "gpu__time_duration.sum", "ns", "5,000"),
    line(1, "dram__bytes.sum", "Kbyte", "2.5"),
    "==PROF== Disconnected from process 77",
])  # fmt: skip


def test_the_bytes_of_all_kernels_are_summed() -> None:
    told = ncu.read_csv(TOLD)
    assert (told.bytes, told.kernels) == (1_048_576 + 2500, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table of metrics"),
        ("==WARNING== No kernels were profiled.", "no table of metrics"),
        (f"{HEAD}\n{line(0, 'gpu__time_duration.sum', 'ns', '5')}", "all of 0 kernels"),
        (f"{HEAD}\n{line(0, ncu.METRIC, '', 'n/a')}", "1 of 1 kernels have no dram__bytes.sum"),
        (f"{HEAD}\n{line(0, ncu.METRIC, 'furlong', '5')}", "1 of 1 kernels"),
    ],
)
def test_what_is_no_measurement_is_none(text: str, said: str) -> None:
    with pytest.raises(ncu.NcuError, match=said):
        ncu.read_csv(text)


@pytest.fixture
def fake_ncu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called ncu that keeps what it was told and writes what it is to say."""
    program = tmp_path / "ncu"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KEPT", str(tmp_path / "kept"))
    monkeypatch.setenv("SAYS", str(tmp_path / "says"))
    (tmp_path / "says").write_text(TOLD)
    return tmp_path


def test_ncu_looks_at_one_phase_and_changes_neither_clocks_nor_caches(fake_ncu: Path) -> None:
    told = ncu.counted(fake_ncu, "decode", 64, 32, seconds=20)
    assert told.kernels == 2
    words = (fake_ncu / "kept").read_text().splitlines()
    pairs = dict(pairwise(words))
    assert pairs["--nvtx-include"] == "costaudit@decode/"
    assert (pairs["--clock-control"], pairs["--cache-control"]) == ("none", "none")
    assert (pairs["--profile-from-start"], pairs["--metrics"]) == ("off", "dram__bytes.sum")
    assert words[-5:] == [str(ncu.TARGET), str(fake_ncu), "decode", "64", "32"]


@pytest.mark.parametrize(
    ("says", "code", "said"),
    [
        ("==ERROR== ERR_NVGPUCTRPERM - The user does not have permission", "1", "may not read"),
        ("==ERROR== The application returned an error code (9).", "9", "ended with 9"),
    ],
)
def test_why_ncu_counted_nothing_is_said(
    fake_ncu: Path, monkeypatch: pytest.MonkeyPatch, says: str, code: str, said: str
) -> None:
    (fake_ncu / "says").write_text(says)
    monkeypatch.setenv("CODE", code)
    with pytest.raises(ncu.NcuError, match=said):
        ncu.counted(fake_ncu, "prefill", 64, 32, seconds=20)


def test_without_ncu_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ncu.NcuError, match="no ncu"):
        ncu.counted(tmp_path, "decode", 64, 32, seconds=20)


def test_a_product_reads_both_sides_and_writes_the_third() -> None:
    left, right = torch.zeros(8, 16), torch.zeros(16, 32)
    assert bytes_of(lambda: _none(left @ right), 0) == 4 * (8 * 16 + 16 * 32 + 8 * 32)


def test_views_and_allocations_move_nothing() -> None:
    held = torch.zeros(8, 16)
    assert bytes_of(lambda: _none(held.view(-1)[:3].view(3, 1).t().detach()), 0) == 0
    assert bytes_of(lambda: _none(torch.empty(100)), 0) == 0
    assert distinct_bytes(held[:1].expand(50, 16)) == 64


def test_what_a_kernel_just_wrote_is_read_from_l2_if_it_fits() -> None:
    source = torch.zeros(1000)

    def run() -> None:
        (source + 1) * 2

    streams = 4 * (1000 + 1000 + 1000 + 1000)  # read, write; read, write
    assert bytes_of(run, 0) == streams
    assert bytes_of(run, 3999) == streams
    assert bytes_of(run, 1 << 20) <= 4 * (1000 + 2000)  # what is in between is not read again


def test_gathers_and_scatters_touch_their_rows_only() -> None:
    table, places = torch.zeros(1000, 4), torch.tensor([3, 5])
    assert bytes_of(lambda: _none(torch.nn.functional.embedding(places, table)), 0) == 2 * 2 * 16
    rows = torch.ones(2, 4)
    assert bytes_of(lambda: _none(table.index_copy_(0, places, rows)), 0) == 2 * 2 * 16


def test_a_decode_step_moves_the_formulas_bytes_and_little_more(tmp_path: Path) -> None:
    from gpu.bed import REHEARSED, Bed
    from gpu.steps import STATIC
    from gpu.traffic import analytic_bytes, prepared_for

    bed = Bed(REHEARSED, tmp_path, "cpu")
    with bed.engine(STATIC) as engine:
        prepared = prepared_for(bed, engine, "decode", 1)
        formula = analytic_bytes(bed, engine, "decode", prepared)
        counted = bytes_of(prepared.run, 0)
    assert 1 <= counted / formula < 1.35  # activations weigh something in a model of 0.4 M weights


def _none(_: Any) -> None:
    """Drop a result."""

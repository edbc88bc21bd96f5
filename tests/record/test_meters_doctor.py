from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from costaudit.record import doctor
from costaudit.record.meters.host import HostMemory
from costaudit.recording.rows import Instrument, State

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("torch", "transformers", "numpy", "nvtx", "pandas", "scipy")


def _checks(place: Path | None = None) -> dict[str, doctor.Check]:
    return {check.what: check for check in doctor.examine(place)}


def test_everything_that_is_missing_says_what_would_help(tmp_path: Path) -> None:
    for check in doctor.examine(tmp_path):
        assert check.detail, check.what
        if check.state is not State.OK:
            assert check.would_help, check.what


def test_it_covers_all_that_a_recording_uses(tmp_path: Path) -> None:
    assert {
        *("NVML", "NVTX", "nsys", "torch", "CUDA in torch", "transformers"),
        *("CPU", "timers", "client", "memory", "disk"),
    } <= set(_checks(tmp_path))


def test_without_a_gpu_no_exporter_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Instrument(meter="nvml", state=State.ABSENT, why="no NVIDIA driver answers")
    monkeypatch.setattr(doctor, "open_nvml", lambda device: none)
    check = _checks()["DRAM activity by DCGM (T1')"]
    assert check.state is State.OFF
    assert "not asked" in check.detail
    assert check.would_help


def test_it_is_quick_and_loads_nothing_heavy() -> None:
    script = (
        "import json, sys, time; began = time.process_time()\n"
        "from costaudit.record.doctor import examine; examine()\n"
        f"print(json.dumps([time.process_time() - began, "
        f"[m for m in {HEAVY!r} if m in sys.modules]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    cpu_s, loaded = json.loads(done.stdout)
    assert loaded == []
    assert cpu_s < 1.0


def test_a_place_that_cannot_be_written_is_found_and_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = _checks(tmp_path / "run.costaudit")["disk"]
    assert fine.state is State.OK
    assert list(tmp_path.iterdir()) == []
    missing = _checks(tmp_path / "no" / "run.costaudit")["disk"]
    assert missing.state is State.ABSENT
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert _checks(tmp_path)["disk"].state is State.REFUSED


def test_nvtx_tells_off_from_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("NVTX_INJECTION64_PATH", "NVTX_DISABLE"):
        monkeypatch.delenv(name, raising=False)
    assert doctor._nvtx().state is State.OFF
    monkeypatch.setenv("NVTX_INJECTION64_PATH", str(tmp_path / "missing.so"))
    assert doctor._nvtx().state is State.ABSENT
    tool = tmp_path / "tool.so"
    tool.touch()
    monkeypatch.setenv("NVTX_INJECTION64_PATH", str(tool))
    assert doctor._nvtx().state is State.OK
    monkeypatch.setenv("NVTX_DISABLE", "1")
    assert doctor._nvtx().state is State.OFF


def test_missing_packages_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    for check in (doctor._package("torch"), doctor._cuda(), doctor._nvtx()):
        assert check.state is State.ABSENT
        assert check.would_help


@pytest.mark.parametrize(
    ("line", "state"),
    [("cuda: Optional[str] = '12.8'", State.OK), ("cuda: Optional[str] = None", State.ABSENT)],
)
def test_cuda_is_read_from_torchs_version_file(
    line: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "version.py").write_text(f"__version__ = '9.9'\n{line}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert doctor._cuda().state is state


def test_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    small = HostMemory(total_bytes=1 << 30, available_bytes=1 << 28, limited_by="cgroup")
    monkeypatch.setattr(doctor, "host_memory", lambda: small)
    check = doctor._memory()
    assert check.state is State.REFUSED
    assert "cgroup" in check.detail

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from costaudit.record.meters.cgroup import cpu_limit_cores, memory_group, used_bytes
from costaudit.record.meters.host import (
    HostMeter,
    cpu_model,
    host_facts,
    host_memory,
    usable_cores,
)
from costaudit.record.meters.torch_memory import gauges, open_torch_memory
from costaudit.recording.rows import Instrument, State

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


def _write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n", encoding="utf-8")


def _membership(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "self_cgroup"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_v2_limit_of_a_parent_counts_and_file_cache_can_be_dropped(tmp_path: Path) -> None:
    root = tmp_path / "cg"
    _write(root / "pod" / "box", memory__max="max", memory__current="100", cpu__max="max 100000")
    _write(
        root / "pod",
        memory__max=str(4 * GIB),
        memory__current=str(3 * GIB),
        memory__stat=f"anon 5\ninactive_file {GIB}",
        cpu__max="150000 100000",
    )
    member = _membership(tmp_path, "0::/pod/box")
    found = memory_group(64 * GIB, root=root, membership=member)
    assert found is not None
    assert (found.limit_bytes, used_bytes(found)) == (4 * GIB, 2 * GIB)
    assert cpu_limit_cores(root=root, membership=member) == 1.5


def test_v1_limits_are_read_from_each_controller(tmp_path: Path) -> None:
    root = tmp_path / "cg"
    _write(
        root / "memory" / "box",
        memory__limit_in_bytes=str(2 * GIB),
        memory__usage_in_bytes=str(GIB),
        memory__stat="total_inactive_file 0",
    )
    _write(root / "cpu,cpuacct" / "box", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    member = _membership(tmp_path, "4:memory:/box", "2:cpu,cpuacct:/box", "1:name=systemd:/box")
    found = memory_group(64 * GIB, root=root, membership=member)
    assert found is not None
    assert (found.limit_bytes, used_bytes(found)) == (2 * GIB, GIB)
    assert cpu_limit_cores(root=root, membership=member) == 0.5


def test_no_limit_and_limits_above_the_host_are_none(tmp_path: Path) -> None:
    root = tmp_path / "cg"
    _write(
        root / "memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="1"
    )
    _write(root / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    member = _membership(tmp_path, "4:memory:/", "2:cpu:/")
    assert memory_group(64 * GIB, root=root, membership=member) is None
    assert cpu_limit_cores(root=root, membership=member) is None
    assert memory_group(64 * GIB, root=root, membership=tmp_path / "missing") is None


def test_a_path_of_the_host_leads_to_the_containers_own_root(tmp_path: Path) -> None:
    root = tmp_path / "cg"
    _write(root, memory__max=str(GIB), memory__current="0")
    for path in ("/docker/0a1b2c", "/../../elsewhere"):
        found = memory_group(64 * GIB, root=root, membership=_membership(tmp_path, f"0::{path}"))
        assert found is not None
        assert found.limit_bytes == GIB


def test_the_cpu_is_named_or_unknown(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n", encoding="utf-8")
    assert cpu_model(info) == "Some CPU @ 2 GHz"
    info.write_text("processor\t: 0\n", encoding="utf-8")
    assert cpu_model(info) is None
    assert cpu_model(tmp_path / "missing") is None


def test_facts_of_this_machine_are_sane() -> None:
    facts = {fact.name: fact for fact in host_facts()}
    memory = host_memory()
    assert 0 < memory.available_bytes <= memory.total_bytes
    assert 0 < usable_cores() <= (os.cpu_count() or 1)
    assert facts["memory_total"].value == memory.total_bytes
    assert (facts["cpu_model"].value is None) == bool(facts["cpu_model"].why)


def test_own_work_shows_as_own_share() -> None:
    meter = HostMeter()
    began, cpu_began = time.monotonic(), time.process_time()
    while time.monotonic() - began < 0.3:
        sum(range(1000))
    spent = time.process_time() - cpu_began
    wall = time.monotonic() - began
    values = {g.name: g.value for g in meter.sample(1.0)}
    expected = spent / wall / len(os.sched_getaffinity(0))
    assert values["own_cpu_share"] == pytest.approx(expected, abs=0.1)
    assert values["rss"] > 1 << 20
    shares = [v for name, v in values.items() if name.endswith("_share")]
    assert len(shares) == 3
    assert all(0 <= share <= 1 for share in shares)


def test_a_process_that_cannot_be_read_is_lost_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    meter = HostMeter()

    def gone(self: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "memory_info", gone)
    assert meter.sample(0.0) == []
    (state,) = meter.instruments()
    assert state.state is State.LOST
    assert meter.sample(1.0) == []


def test_torch_memory_is_absent_on_a_cpu_with_its_reason() -> None:
    state = open_torch_memory("cpu")
    assert isinstance(state, Instrument)
    assert state.state is State.ABSENT
    assert "CPU" in state.why


def test_allocator_statistics_become_gauges() -> None:
    stats = {
        "allocated_bytes.all.current": 60,
        "allocated_bytes.all.peak": 90,
        "reserved_bytes.all.current": 100,
        "reserved_bytes.all.peak": 120,
        "inactive_split_bytes.all.current": 25,
    }
    values = {g.name: (g.value, g.unit) for g in gauges(stats, 1.5)}
    assert values["allocated_peak"] == (90.0, "B")
    assert values["fragmented_share"] == (0.25, "share")
    assert "fragmented_share" not in {g.name for g in gauges({}, 0.0)}

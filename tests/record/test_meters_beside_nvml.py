"""What GPM cannot tell: DCGM's exporter beside it, the doctor, and the whole way to a chart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from dcgm_exporter import NEW, OLD, page, serving
from nvml_driver import PEAK_BYTES_PER_S, driven
from sample_documents import sample

from costaudit.audit.ahead import went_on
from costaudit.audit.course_section import course_section
from costaudit.measure.device_course import with_course
from costaudit.measure.metrics import DeviceMetrics
from costaudit.record.meters.host import HostMeter
from costaudit.record.meters.torch_memory import gauges
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Gauge
from costaudit.report.charts import utilization
from costaudit.report.figure import figures_of
from costaudit.target.target import Origin, Value


def test_every_share_that_the_sampler_writes_has_a_title_and_is_drawn(
    fake_driver: Path, tmp_path: Path
) -> None:
    """What the unmodified pynvml and an exporter gave: as a recording, a document and a chart."""
    with serving(page(0.5)) as exporter:
        out = driven(fake_driver, dcgm=exporter.url)
    allocator = {
        "reserved_bytes.all.current": 100,
        "reserved_bytes.all.peak": 160,
        "allocated_bytes.all.peak": 120,
        "inactive_split_bytes.all.current": 25,
    }
    path = tmp_path / "run.costaudit"
    with Recording.create(path) as recording:
        for rows in (out["first"], out["last"]):
            recording.add(*(Gauge(**row) for row in rows))
        recording.add(*gauges(allocator, 0.5), *host_gauges())
        recording.add(
            Gauge(t_s=10.0, meter="nvml.throttle", name="throttled_sw_power_cap", value=9.0,
                  unit="s"),
        )  # fmt: skip
    with Recording.read(path) as recording:
        course = course_section(recording, went_on(recording))
        device = with_course(blank_device(), recording)
    document = sample() | {"course": course}
    shares = {(g["meter"], g["name"]) for g in course["gauges"] if g["unit"] == "share"}
    titled = set(utilization._titles(document))
    assert ("nvml.gpm", "dram_share") in shares
    assert ("dcgm", "dram_active_share") in shares
    assert titled == shares
    drawn = figures_of(document)["utilization"]
    assert "DRAM bandwidth, of the theoretical (GPM)" in drawn.svg
    assert "(GPM) 62\N{NO-BREAK SPACE}%; SMs busy (GPM) 88" in drawn.says
    assert device.allocator == {
        "allocated_peak_bytes": 120,
        "reserved_peak_bytes": 160,
        "fragmented_peak_share": 0.25,
    }
    # By the fake's counter 5.5 s at t = 0.25; 9 s were made up for t = 10.
    assert device.throttled_share["sw_power_cap"] == pytest.approx((9 - 6) / 9.75, abs=0.06)
    assert device.throttled_share["sw_thermal"] == 0.0


def host_gauges() -> list[Gauge]:
    """Two looks of the real host meter."""
    meter = HostMeter()
    meter.sample(0.0)
    time.sleep(0.02)
    return [gauge for gauge in meter.sample(0.3) if gauge.unit == "share"]


def blank_device() -> DeviceMetrics:
    unknown = Value(value=None, origin=Origin.UNKNOWN)
    return DeviceMetrics(
        name="NVIDIA H200", kind="cuda", count=1, memory_bytes=None, peak_flops=unknown,
        peak_bandwidth_bytes_per_s=unknown, datasheet_flops=unknown,
        datasheet_bandwidth_bytes_per_s=unknown,
    )  # fmt: skip


def test_gpm_ends_a_span_as_soon_as_every_counter_has_had_its_time(fake_driver: Path) -> None:
    with serving(page(0.5)) as exporter:
        (span,) = driven(fake_driver, spans=(None,), dcgm=exporter.url)["spans"]
    assert span["bandwidth_tier"] == "T1"
    assert 1.2 <= span["seconds"] <= 1.5
    assert span["energy_j"] is not None


@pytest.mark.parametrize("names", [OLD, NEW], ids=["old names", "new names"])
@pytest.mark.parametrize("gpm", ["absent", "no_permission", "dram_refused"])
def test_where_gpm_is_missing_dcgm_speaks(fake_driver: Path, gpm: str, names: Any) -> None:
    """Every request finds a new value: of 0.5 and what follows only whole collections count."""
    asked = iter(range(10_000))
    with serving(lambda: page(0.5 + next(asked) / 1024, names=names)) as exporter:
        out = driven(fake_driver, spans=(2.0, None), dcgm=exporter.url, GPM=gpm)
    assert out["at_open"]["dcgm"]["state"] == "ok"
    unsampled, span = out["spans"]
    assert unsampled["bandwidth_tier"] == "T2"  # nobody sampled during the first
    assert "changed 0 times" in unsampled["why"]
    assert span["bandwidth_tier"] == "T1'"
    # Value 0 at opening, 1 by the sample before the spans. Within it 2 is of unknown age; 3 and 4
    # date what comes after them on a page that may be held back, so 5 and 6 count.
    counted = range(5, 2 + round(span["seconds"] / 0.25))
    assert list(counted) == [5, 6]
    mean = 0.5 + sum(counted) / len(counted) / 1024
    assert span["bandwidth_share"] == pytest.approx(mean, abs=1e-12)
    assert span["dram_bytes"] == pytest.approx(mean * PEAK_BYTES_PER_S * span["seconds"])
    assert span["sm_share"] == (0.875 if gpm == "dram_refused" else None)
    assert {g["name"] for g in out["last"] if g["meter"] == "dcgm"} == {
        "dram_active_share",
        "tensor_active_share",
    }


def test_dcgm_lost_in_mid_run_leaves_the_formula_and_both_reasons(fake_driver: Path) -> None:
    with serving(page(0.5)) as exporter:

        def until_the_eighth() -> str:
            if len(exporter.asked) >= 8:
                exporter.status = 500
            return page(0.5 + len(exporter.asked) / 1024)

        exporter.text = until_the_eighth
        spans = (None, None, None)
        out = driven(fake_driver, spans=spans, dcgm=exporter.url, GPM="no_permission")
    assert [s["bandwidth_tier"] for s in out["spans"]] == ["T1'", "T2", "T2"]
    assert (out["at_open"]["dcgm"]["state"], out["at_end"]["dcgm"]["state"]) == ("ok", "lost")
    for reason in ("Insufficient Permissions", "HTTP 500"):
        assert reason in out["spans"][-1]["why"]
    assert out["spans"][-1]["seconds"] <= 1.5  # nobody waits for what is lost


def test_an_exporter_that_collects_too_seldom_costs_a_bounded_wait(fake_driver: Path) -> None:
    with serving(page(0.5)) as exporter:
        (span,) = driven(fake_driver, spans=(None,), dcgm=exporter.url, GPM="absent")["spans"]
    assert span["bandwidth_tier"] == "T2"
    assert "--collect-interval 1000" in span["why"]
    assert 6.0 <= span["seconds"] <= 6.25


@pytest.mark.parametrize(("gpm", "state"), [("present", "ok"), ("no_permission", "refused")])
def test_doctor_tells_each_tier_of_a_gpu(fake_driver: Path, gpm: str, state: str) -> None:
    script = (
        "import json; from dataclasses import asdict\n"
        "from costaudit.record.doctor import examine\n"
        "print(json.dumps([asdict(check) for check in examine()]))"
    )
    env = os.environ | {"LD_LIBRARY_PATH": str(fake_driver), "FAKE_NVML_GPM": gpm}
    with serving(page(0.5)) as exporter:
        env["COSTAUDIT_DCGM_URL"] = exporter.url
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
    checks = {check["what"]: check for check in json.loads(done.stdout)}
    assert checks["NVML"]["state"] == "ok"
    assert "NVIDIA H200" in checks["NVML"]["detail"]
    measured = checks["DRAM bandwidth by GPM (T1)"]
    assert measured["state"] == state
    assert bool(measured["would_help"]) == (state != "ok")
    assert checks["bandwidth by formula (T2)"]["state"] == "ok"
    exporter = checks["DRAM activity by DCGM (T1')"]
    assert exporter["state"] == "ok"
    assert "127.0.0.1" in exporter["detail"]

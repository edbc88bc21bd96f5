from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from dcgm_exporter import NEW, OLD, page, serving
from nvml_library import build, environment
from sample_documents import sample

from costaudit.audit.course_section import course_section
from costaudit.measure.device_course import with_course
from costaudit.measure.metrics import DeviceMetrics
from costaudit.record.meters.host import HostMeter
from costaudit.record.meters.nvml_channels import throttled_shares
from costaudit.record.meters.torch_memory import gauges
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Gauge
from costaudit.report.charts import utilization
from costaudit.report.figure import figures_of
from costaudit.target.target import Origin, Value

REASONS = st.sampled_from(["throttled_sw_thermal", "throttled_hw_thermal", "energy"])
PEAK_BYTES_PER_S = 2 * 3201e6 * 6144 / 8

# Runs under the fake driver. The clock is ours too: a span lasts exactly as long as it is told.
DRIVER = """
import json, sys
from dataclasses import asdict
import costaudit.record.meters.nvml as m

class Clock:
    now = 100.0
    def perf_counter(self):
        return self.now

clock = m.time = Clock()
opened = m.open_nvml(json.loads(sys.argv[1]))
if not isinstance(opened, m.NvmlMeter):
    print(json.dumps({"opened": asdict(opened)}))
    sys.exit()
out = {"opened": None, "spans": []}
with opened as meter:
    out["at_open"] = {i.meter: asdict(i) for i in meter.instruments()}
    out["facts"] = {f.name: asdict(f) for f in meter.facts()}
    out["first"] = [asdict(g) for g in meter.sample(0.25)]
    clock.now += 1.0
    for seconds in json.loads(sys.argv[2]):
        with meter.span() as span:
            if seconds is None:  # as long as it takes, sampled meanwhile
                while not span.enough():
                    clock.now += 0.25
                    meter.sample(clock.now)
            else:
                clock.now += seconds
        out["spans"].append(asdict(span.reading))
    out["last"] = [asdict(g) for g in meter.sample(0.5)]
    out["at_end"] = {i.meter: asdict(i) for i in meter.instruments()}
out["closed"] = len(meter.sample(0.75))
out["leaked"] = meter._nvml.nvmlLib.fake_live_samples()
print(json.dumps(out))
"""


@given(
    before=st.dictionaries(REASONS, st.floats(0, 1e9)),
    after=st.dictionaries(REASONS, st.floats(0, 1e9)),
    seconds=st.floats(1e-3, 1e6),
)
def test_throttled_shares_are_shares_of_counters_seen_twice(
    before: dict[str, float], after: dict[str, float], seconds: float
) -> None:
    shares = throttled_shares(before, after, seconds)
    assert all(0 <= share <= 1 for share in shares.values())
    assert {f"throttled_{reason}" for reason in shares} == before.keys() & after.keys() - {"energy"}


@pytest.fixture(scope="session")
def fake_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("fake_nvml"))


def _run(
    folder: Path,
    device: int | str = 0,
    spans: tuple[float | None, ...] = (2.0,),
    dcgm: str = "off",
    **env: str,
) -> Any:
    environ = {**environment(folder, **env), "COSTAUDIT_DCGM_URL": dcgm}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(device), json.dumps(spans)],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_gpm_measures_bandwidth_to_the_number(fake_driver: Path) -> None:
    out = _run(fake_driver)
    assert out["at_open"]["nvml.gpm"]["state"] == "ok"
    (span,) = out["spans"]
    assert span["bandwidth_tier"] == "T1"
    assert (span["bandwidth_share"], span["sm_share"], span["tensor_share"]) == (
        0.625,
        0.875,
        0.125,
    )
    assert span["dram_bytes"] == pytest.approx(0.625 * PEAK_BYTES_PER_S * 2.0, rel=1e-12)
    assert span["energy_j"] == pytest.approx(350.0)
    assert span["throttled_share"] == {"sw_power_cap": 0.25, "sw_thermal": 0.0}
    assert span["seconds"] == 2.0
    assert (span["memory_accessed_share"], span["kernel_running_share"]) == (0.4, 0.99)
    assert span["why"] == ""
    assert out["leaked"] == 0


def test_gpm_stands_on_the_timeline_of_the_samples(fake_driver: Path) -> None:
    """The first look begins a span of its own; the last, 3 s later, tells what was in between."""
    out = _run(fake_driver)
    assert not [g for g in out["first"] if g["meter"] == "nvml.gpm"]
    told = {g["name"]: g["value"] for g in out["last"] if g["meter"] == "nvml.gpm"}
    assert told == {"dram_share": 0.625, "sm_share": 0.875, "tensor_share": 0.125}
    assert out["leaked"] == 0


def test_every_share_that_the_sampler_writes_has_a_title_and_is_drawn(
    fake_driver: Path, tmp_path: Path
) -> None:
    """What the unmodified pynvml and an exporter gave: as a recording, a document and a chart."""
    with serving(page(0.5)) as exporter:
        out = _run(fake_driver, dcgm=exporter.url)
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
        course = course_section(recording)
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


def test_plain_readings_carry_units_and_say_what_they_are(fake_driver: Path) -> None:
    out = _run(fake_driver)
    readings = {(g["meter"], g["name"]): (g["value"], g["unit"]) for g in out["first"]}
    assert readings["nvml.memory", "memory_used"] == (1073741824, "B")
    assert readings["nvml.clocks", "sm_clock"] == (1980e6, "Hz")
    assert readings["nvml.memory-accessed", "memory_accessed_share"] == (0.4, "share")
    assert {g["t_s"] for g in out["first"]} == {0.25}
    tiers = {name: row["tier"] for name, row in out["at_open"].items()}
    assert tiers["nvml.gpm"] == "T1"
    assert tiers["analytic"] == "T2"
    assert tiers["nvml.energy"] == "T3"
    assert tiers["nvml.memory-accessed"] == "T4"
    assert "not bandwidth" in out["at_open"]["nvml.memory-accessed"]["why"]
    assert out["at_open"]["dcgm"]["state"] == "off"
    assert out["facts"]["name"]["value"] == "NVIDIA H200"
    assert out["facts"]["theoretical_bandwidth"]["value"] == pytest.approx(PEAK_BYTES_PER_S)
    assert out["closed"] == 0


@pytest.mark.parametrize(
    ("gpm", "state", "reason"),
    [
        ("absent", "absent", "Hopper or newer"),
        ("no_permission", "refused", "Insufficient Permissions (NVML 4)"),
    ],
)
def test_without_gpm_the_analytic_tier_stands(
    fake_driver: Path, gpm: str, state: str, reason: str
) -> None:
    out = _run(fake_driver, GPM=gpm)
    row = out["at_open"]["nvml.gpm"]
    assert row["state"] == state
    assert reason in row["why"]
    (span,) = out["spans"]
    assert span["bandwidth_share"] is None
    assert span["bandwidth_tier"] == "T2"
    assert reason in span["why"]
    assert span["energy_j"] == pytest.approx(350.0)
    assert out["leaked"] == 0


def test_gpm_lost_in_mid_run_is_a_state_and_the_rest_goes_on(fake_driver: Path) -> None:
    out = _run(fake_driver, spans=(2.0, 2.0), GPM="lost")
    assert out["at_open"]["nvml.gpm"]["state"] == "ok"
    assert out["at_end"]["nvml.gpm"]["state"] == "lost"
    assert "GPU is lost" in out["at_end"]["nvml.gpm"]["why"]
    assert [s["bandwidth_share"] for s in out["spans"]] == [None, None]
    assert all("GPU is lost" in s["why"] for s in out["spans"])
    assert len(out["last"]) == len(out["first"])
    assert out["leaked"] == 0


@pytest.mark.parametrize(
    ("gpm", "reason"), [("dram_refused", "GPM metric 10: Not Supported"), ("wild", "reads 250")]
)
def test_a_metric_is_believed_only_by_its_own_return_code(
    fake_driver: Path, gpm: str, reason: str
) -> None:
    (span,) = _run(fake_driver, GPM=gpm)["spans"]
    assert span["bandwidth_share"] is None
    assert span["dram_bytes"] is None
    assert reason in span["why"]
    assert span["sm_share"] == 0.875


def test_a_short_span_has_no_bandwidth_and_no_energy(fake_driver: Path) -> None:
    out = _run(fake_driver, spans=(0.4, 0.6))
    short, longer = out["spans"]
    assert short["bandwidth_share"] is None
    assert "0.400 s" in short["why"]
    assert longer["bandwidth_share"] == 0.625
    for name in ("energy_j", "memory_accessed_share", "kernel_running_share"):
        assert short[name] is None
        assert longer[name] is None
    assert out["leaked"] == 0


def test_an_older_device_falls_back_and_says_so(fake_driver: Path) -> None:
    out = _run(fake_driver, GPM="absent", OLD="1")
    assert out["at_open"]["nvml.energy"]["state"] == "absent"
    assert out["at_open"]["nvml.throttle"]["tier"] == "bits"
    (span,) = out["spans"]
    assert span["energy_j"] is None
    assert span["throttled_share"] is None
    bits = [g["value"] for g in out["first"] if g["name"] == "throttle_reasons"]
    assert bits == [4.0]


def test_a_device_that_falls_off_the_bus_ends_no_run(fake_driver: Path) -> None:
    out = _run(fake_driver, LOST_AFTER="3")  # tried once, asked for facts, sampled; then gone
    assert {g["meter"] for g in out["first"]} >= {"nvml.memory", "nvml.clocks", "nvml.energy"}
    assert out["last"] == []
    lost = {name for name, row in out["at_end"].items() if row["state"] == "lost"}
    assert {"nvml.memory", "nvml.clocks", "nvml.energy", "nvml.memory-accessed"} <= lost


def test_no_driver_is_a_state() -> None:
    out = _run(Path("/nonexistent"))
    if out["opened"] is None:
        pytest.skip("this machine has a real NVIDIA driver")
    assert out["opened"]["state"] == "absent"
    assert "no NVIDIA driver answers" in out["opened"]["why"]


def test_a_driver_that_is_not_loaded_is_a_state(fake_driver: Path) -> None:
    opened = _run(fake_driver, INIT="9")["opened"]
    assert opened["state"] == "absent"
    assert "Driver Not Loaded" in opened["why"]


@pytest.mark.parametrize("device", [7, "GPU-9999"])
def test_an_unknown_device_is_a_state(fake_driver: Path, device: int | str) -> None:
    opened = _run(fake_driver, device=device)["opened"]
    assert opened["state"] == "absent"
    assert str(device) in opened["why"]


def test_a_uuid_opens_the_device_with_or_without_its_prefix(fake_driver: Path) -> None:
    for uuid in ("GPU-0123", "0123"):
        assert _run(fake_driver, device=uuid)["opened"] is None


def test_gpm_ends_a_span_as_soon_as_every_counter_has_had_its_time(fake_driver: Path) -> None:
    with serving(page(0.5)) as exporter:
        (span,) = _run(fake_driver, spans=(None,), dcgm=exporter.url)["spans"]
    assert span["bandwidth_tier"] == "T1"
    assert 1.2 <= span["seconds"] <= 1.5
    assert span["energy_j"] is not None


@pytest.mark.parametrize("names", [OLD, NEW], ids=["old names", "new names"])
@pytest.mark.parametrize("gpm", ["absent", "no_permission", "dram_refused"])
def test_where_gpm_is_missing_dcgm_speaks(fake_driver: Path, gpm: str, names: Any) -> None:
    """Every request finds a new value: of 0.5 and what follows only whole collections count."""
    asked = iter(range(10_000))
    with serving(lambda: page(0.5 + next(asked) / 1024, names=names)) as exporter:
        out = _run(fake_driver, spans=(2.0, None), dcgm=exporter.url, GPM=gpm)
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
        out = _run(fake_driver, spans=spans, dcgm=exporter.url, GPM="no_permission")
    assert [s["bandwidth_tier"] for s in out["spans"]] == ["T1'", "T2", "T2"]
    assert (out["at_open"]["dcgm"]["state"], out["at_end"]["dcgm"]["state"]) == ("ok", "lost")
    for reason in ("Insufficient Permissions", "HTTP 500"):
        assert reason in out["spans"][-1]["why"]
    assert out["spans"][-1]["seconds"] <= 1.5  # nobody waits for what is lost


def test_an_exporter_that_collects_too_seldom_costs_a_bounded_wait(fake_driver: Path) -> None:
    with serving(page(0.5)) as exporter:
        (span,) = _run(fake_driver, spans=(None,), dcgm=exporter.url, GPM="absent")["spans"]
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

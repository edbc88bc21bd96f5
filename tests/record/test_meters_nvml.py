from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvml_driver import PEAK_BYTES_PER_S, driven

from costaudit.record.meters.nvml_channels import throttled_shares

REASONS = st.sampled_from(["throttled_sw_thermal", "throttled_hw_thermal", "energy"])


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


def test_gpm_measures_bandwidth_to_the_number(fake_driver: Path) -> None:
    out = driven(fake_driver)
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
    out = driven(fake_driver)
    assert not [g for g in out["first"] if g["meter"] == "nvml.gpm"]
    told = {g["name"]: g["value"] for g in out["last"] if g["meter"] == "nvml.gpm"}
    assert told == {"dram_share": 0.625, "sm_share": 0.875, "tensor_share": 0.125}
    assert out["leaked"] == 0


def test_plain_readings_carry_units_and_say_what_they_are(fake_driver: Path) -> None:
    out = driven(fake_driver)
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
    out = driven(fake_driver, GPM=gpm)
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
    out = driven(fake_driver, spans=(2.0, 2.0), GPM="lost")
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
    (span,) = driven(fake_driver, GPM=gpm)["spans"]
    assert span["bandwidth_share"] is None
    assert span["dram_bytes"] is None
    assert reason in span["why"]
    assert span["sm_share"] == 0.875


def test_a_short_span_has_no_bandwidth_and_no_energy(fake_driver: Path) -> None:
    out = driven(fake_driver, spans=(0.4, 0.6))
    short, longer = out["spans"]
    assert short["bandwidth_share"] is None
    assert "0.400 s" in short["why"]
    assert longer["bandwidth_share"] == 0.625
    for name in ("energy_j", "memory_accessed_share", "kernel_running_share"):
        assert short[name] is None
        assert longer[name] is None
    assert out["leaked"] == 0


def test_an_older_device_falls_back_and_says_so(fake_driver: Path) -> None:
    out = driven(fake_driver, GPM="absent", OLD="1")
    assert out["at_open"]["nvml.energy"]["state"] == "absent"
    assert out["at_open"]["nvml.throttle"]["tier"] == "bits"
    (span,) = out["spans"]
    assert span["energy_j"] is None
    assert span["throttled_share"] is None
    bits = [g["value"] for g in out["first"] if g["name"] == "throttle_reasons"]
    assert bits == [4.0]


def test_a_device_that_falls_off_the_bus_ends_no_run(fake_driver: Path) -> None:
    out = driven(fake_driver, LOST_AFTER="3")  # tried once, asked for facts, sampled; then gone
    assert {g["meter"] for g in out["first"]} >= {"nvml.memory", "nvml.clocks", "nvml.energy"}
    assert out["last"] == []
    lost = {name for name, row in out["at_end"].items() if row["state"] == "lost"}
    assert {"nvml.memory", "nvml.clocks", "nvml.energy", "nvml.memory-accessed"} <= lost


def test_no_driver_is_a_state() -> None:
    out = driven(Path("/nonexistent"))
    if out["opened"] is None:
        pytest.skip("this machine has a real NVIDIA driver")
    assert out["opened"]["state"] == "absent"
    assert "no NVIDIA driver answers" in out["opened"]["why"]


def test_a_driver_that_is_not_loaded_is_a_state(fake_driver: Path) -> None:
    opened = driven(fake_driver, INIT="9")["opened"]
    assert opened["state"] == "absent"
    assert "Driver Not Loaded" in opened["why"]


@pytest.mark.parametrize("device", [7, "GPU-9999"])
def test_an_unknown_device_is_a_state(fake_driver: Path, device: int | str) -> None:
    opened = driven(fake_driver, device=device)["opened"]
    assert opened["state"] == "absent"
    assert str(device) in opened["why"]


def test_a_uuid_opens_the_device_with_or_without_its_prefix(fake_driver: Path) -> None:
    for uuid in ("GPU-0123", "0123"):
        assert driven(fake_driver, device=uuid)["opened"] is None

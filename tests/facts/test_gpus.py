from __future__ import annotations

import pytest

from costaudit.facts.gpus import gpu_spec, gpu_specs, theoretical_bandwidth_bytes_per_s


def test_exact_nvml_name_gives_the_datasheet_with_its_source() -> None:
    spec = gpu_spec("NVIDIA H100 80GB HBM3")
    assert spec is not None
    assert spec.bandwidth_bytes_per_s == 3352e9
    assert spec.peak_flops["bf16"] == pytest.approx(989.4e12)
    assert spec.achieved_flops["bf16"] == pytest.approx(956e12)
    assert spec.source


def test_alias_finds_the_same_row() -> None:
    assert gpu_spec("h200 sxm") is gpu_spec("NVIDIA H200")


def test_part_of_a_name_is_no_match() -> None:
    a10, a10g = gpu_spec("NVIDIA A10"), gpu_spec("NVIDIA A10G")
    assert a10 is not None
    assert a10g is not None
    assert a10.peak_flops["bf16"] != a10g.peak_flops["bf16"]
    assert gpu_spec("NVIDIA A1") is None
    assert gpu_spec("NVIDIA H300") is None
    assert gpu_spec("") is None


def test_a_rate_that_no_datasheet_gives_is_absent_not_zero() -> None:
    t4 = gpu_spec("Tesla T4")
    assert t4 is not None
    assert "bf16" not in t4.peak_flops
    assert all(rate > 0 for spec in gpu_specs() for rate in spec.peak_flops.values())


def test_names_and_aliases_are_unambiguous() -> None:
    words = [w.casefold() for spec in gpu_specs() for w in (spec.name, *spec.aliases)]
    assert len(words) == len(set(words))


def test_every_row_names_its_source() -> None:
    assert all(spec.source.strip() for spec in gpu_specs())


@pytest.mark.parametrize(
    ("clock_mhz", "bus_bits", "gb_per_s"),
    [(1593, 5120, 2039.0), (2619, 5120, 3352.3), (3201, 6144, 4917.0)],
    ids=["A100-80", "H100-SXM", "H200"],
)
def test_bandwidth_formula_reproduces_datasheets(
    clock_mhz: float, bus_bits: float, gb_per_s: float
) -> None:
    got = theoretical_bandwidth_bytes_per_s(memory_clock_mhz=clock_mhz, bus_width_bits=bus_bits)
    assert got == pytest.approx(gb_per_s * 1e9, rel=1e-4)

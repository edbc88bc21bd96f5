"""GPU datasheets: what a device should reach, by its exact NVML name.

The table is `data/gpu_specs.csv`; each row names its source, "recalled" where a datasheet figure
was not read again. Rates are dense (no structured sparsity). An unknown name stays unknown: derive
its bandwidth with `theoretical_bandwidth_bytes_per_s` and measure its FLOPs.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = Path(__file__).parent / "data" / "gpu_specs.csv"
_DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """One row of the table. None where it has no figure.

    Attributes:
        name: exact NVML device name.
        priced_as: the labels under which `prices` lists this device.
        memory_gb: nominal size as marketed; the device's own total is the exact one.
        bandwidth_bytes_per_s: datasheet memory bandwidth.
        peak_flops: datasheet dense FLOP/s (OP/s for integers) by dtype.
        achieved_flops: best GEMM seen on silicon, FLOP/s by dtype.
        achieved_weight_read_bytes_per_s: best weight-read bandwidth seen on silicon.
        achieved_kv_read_bytes_per_s: best bandwidth of bf16 decode attention seen on silicon.
    """

    name: str
    aliases: tuple[str, ...]
    priced_as: tuple[str, ...]
    vendor: str
    architecture: str
    memory_gb: float
    memory_type: str
    bandwidth_bytes_per_s: float
    peak_flops: Mapping[str, float]
    tdp_w: float | None
    nvlink_bytes_per_s: float | None
    l2_bytes: float | None
    achieved_flops: Mapping[str, float] = field(default_factory=dict)
    achieved_weight_read_bytes_per_s: float | None = None
    achieved_kv_read_bytes_per_s: float | None = None
    source: str
    note: str


@cache
def gpu_specs() -> tuple[GpuSpec, ...]:
    """All known devices, in the order of the table."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_spec(row) for row in csv.DictReader(file))


def gpu_spec(name: str) -> GpuSpec | None:
    """The datasheet of a device by its exact NVML name, else by a listed alias; None: unknown.

    Nothing is matched in part: an A10G is no A10, an L40S no L40.
    """
    wanted = _folded(name)
    for spec in gpu_specs():
        if _folded(spec.name) == wanted:
            return spec
    for spec in gpu_specs():
        if wanted in {_folded(alias) for alias in spec.aliases}:
            return spec
    return None


def theoretical_bandwidth_bytes_per_s(*, memory_clock_mhz: float, bus_width_bits: float) -> float:
    """Memory bandwidth from clock and bus: 2 · f · width / 8 (double data rate).

    With NVML's maximum memory clock this reproduces datasheets: A100-80GB 1593 MHz on 5120 bits
    gives 2039 GB/s; an H200 reads 3201 MHz on 6144 bits, 2.4 % above its datasheet's 4800 GB/s.
    """
    return 2.0 * memory_clock_mhz * 1e6 * bus_width_bits / 8.0


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _spec(row: Mapping[str, str]) -> GpuSpec:
    return GpuSpec(
        name=row["nvml_name"],
        aliases=_words(row["aliases"]),
        priced_as=_words(row["priced_as"]),
        vendor=row["vendor"],
        architecture=row["arch"],
        memory_gb=float(row["mem_GB"]),
        memory_type=row["mem_type"],
        bandwidth_bytes_per_s=float(row["bw_GBps"]) * 1e9,
        peak_flops=_rates(row, {dtype: dtype for dtype in _DTYPES}),
        tdp_w=_number(row["tdp_W"]),
        nvlink_bytes_per_s=_number(row["nvlink_total_GBps"], 1e9),
        l2_bytes=_number(row["l2_MB"], 1e6),
        achieved_flops=_rates(
            row, {"bf16": "achieved_gemm_bf16_TF", "fp8": "achieved_gemm_fp8_TF"}
        ),
        achieved_weight_read_bytes_per_s=_number(row["achieved_weightread_GBps"], 1e9),
        achieved_kv_read_bytes_per_s=_number(row["achieved_decodeattn_bf16_GBps"], 1e9),
        source=row["source"],
        note=row["note"],
    )


def _rates(row: Mapping[str, str], columns: Mapping[str, str]) -> Mapping[str, float]:
    rates = {dtype: _number(row[column], 1e12) for dtype, column in columns.items()}
    return MappingProxyType({dtype: rate for dtype, rate in rates.items() if rate is not None})


def _number(text: str, scale: float = 1.0) -> float | None:
    return float(text) * scale if text else None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split("|") if word.strip())

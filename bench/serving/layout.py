"""How one row of a serving table spreads a model over devices, and what is known of both."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from costaudit.facts.gpus import GpuSpec, gpu_spec
from costaudit.facts.models import known_model, known_models
from costaudit.target import work
from costaudit.target.from_config import shape_from_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.target.shape import ModelShape

_SYSTEMS = {
    "a100_pcie": "NVIDIA A100 80GB PCIe",
    "a100_sxm": "NVIDIA A100-SXM4-80GB",
    "b200_sxm": "NVIDIA B200",
    "b300_sxm": "NVIDIA B300 SXM6 AC",
    "gb200": "NVIDIA GB200",
    "gb200_sxm": "NVIDIA GB200",
    "gb300": "NVIDIA GB300",
    "gb300_sxm": "NVIDIA GB300",
    "h100_pcie": "NVIDIA H100 PCIe",
    "h100_sxm": "NVIDIA H100 80GB HBM3",
    "h200_sxm": "NVIDIA H200",
    "l40s": "NVIDIA L40S",
}
NODE_DEVICES = 8  # of an SXM or PCIe machine
RACK_DEVICES = 72  # one NVLink domain of a GB200 or GB300 rack
PCIE_BYTES_PER_S = 50e9  # PCIe 5.0 x16, one direction, where there is no NVLink

# Bytes per weight; 4-bit formats carry one 8-bit scale per 16 weights.
PARAM_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625, "int4": 0.5625}
_PRECISIONS = {
    "nvfp4": "fp4",
    "mxfp4": "fp4",
    "int4_wo": "int4",
    "int8_wo": "int8",
    "fp8_block": "fp8",
    "fp8_static": "fp8",
    "bfloat16": "bf16",
    "float16": "fp16",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Devices of one replica and how attention and experts are split over them."""

    devices: int
    stages: int  # of a pipeline
    data_parallel: bool  # each device holds all of attention and its own sequences
    expert_parallel: bool


def layout_of(row: Mapping[str, str]) -> Layout | None:
    """The layout a row states; None where its columns contradict the machine.

    Some rows state tp·ep where others state tp for one and the same run: 64 devices of a machine
    that has 8. What was meant cannot be told from the row.
    """
    tensor, stages = count(row, "tp_size"), count(row, "pp_size")
    data, experts = count(row, "attention_dp_size"), count(row, "moe_ep_size")
    devices = max(tensor * data, count(row, "moe_tp_size") * experts)
    rack = (row.get("system") or "").casefold().startswith("gb")
    if devices > (RACK_DEVICES if rack else NODE_DEVICES):
        return None
    return Layout(
        devices=devices, stages=stages, data_parallel=data > 1, expert_parallel=experts > 1
    )


def count(row: Mapping[str, str], column: str) -> int:
    """A whole number of at least 1; 1 where the column is absent, empty, zero or no number."""
    return int(max(number(row, column) or 1.0, 1.0))


def number(row: Mapping[str, str], column: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(row.get(column) or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def device_of(row: Mapping[str, str]) -> GpuSpec | None:
    """Datasheet of the row's device; None: unknown."""
    system = (row.get("system") or "").strip().casefold()
    return gpu_spec(_SYSTEMS.get(system, system.replace("_", " ")))


def precision_of(row: Mapping[str, str]) -> str:
    """Precision of the weights: as stated, else of the GEMMs, else 16 bits."""
    for column in ("precision", "gemm_quant_mode"):
        stated = (row.get(column) or "").strip().casefold()
        stated = _PRECISIONS.get(stated, stated)
        if stated in PARAM_BYTES:
            return stated
    return "bf16"


def flops_of(spec: GpuSpec, precision: str) -> float:
    """Dense FLOP/s at which weights of this precision are multiplied; 16-bit where unsupported."""
    half = spec.peak_flops.get("bf16") or spec.peak_flops["fp16"]
    return spec.peak_flops.get(precision, half)


def link_of(spec: GpuSpec) -> float:
    """Bytes per second and direction between two devices."""
    return spec.nvlink_bytes_per_s / 2 if spec.nvlink_bytes_per_s else PCIE_BYTES_PER_S


@cache
def shape_of(model: str) -> tuple[ModelShape, bool]:
    """Shape of a model by its name, and whether it is only borrowed.

    An unknown model borrows the shape of the known one that is nearest in total and active
    parameters, as its name states them (`…-235B-A22B`); without a size in the name it borrows
    that of a middling mixture of experts. The fit has to correct for it.
    """
    known = known_model(model)
    if known is not None:
        return shape_from_config(known.config, name=known.name), False
    sizes = [float(size) for size in re.findall(r"(?<![\d.])(\d+(?:\.\d+)?)b\b", model.casefold())]
    active = [float(size) for size in re.findall(r"\ba(\d+(?:\.\d+)?)b\b", model.casefold())]
    total = max(sizes, default=200.0) * 1e9
    acting = active[0] * 1e9 if active else (total if sizes else 20e9)
    return min(_all_shapes(), key=lambda shape: _distance(shape, total, acting)), True


@cache
def _all_shapes() -> tuple[ModelShape, ...]:
    return tuple(shape_from_config(known.config, name=known.name) for known in known_models())


def _distance(shape: ModelShape, total: float, acting: float) -> float:
    wide = abs(math.log(work.total_params(shape) / total))
    return wide + abs(math.log(work.active_params(shape) / acting))

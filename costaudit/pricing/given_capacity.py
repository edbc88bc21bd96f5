"""A capacity that was measured elsewhere, read from a TOML file.

device = "NVIDIA H100 80GB HBM3"
model = "Qwen/Qwen3-32B"
devices = 1
prefill_tokens_per_s = 20000
decode_tokens_per_s = 3000
interference = 1.1
utilization_share = 0.75
cached_share = 0.25
source = "benchmark of 2026-08-01"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.toml import check_keys, number, read_toml, text
from costaudit.pricing.capacity import Capacity

if TYPE_CHECKING:
    from pathlib import Path

_RATES = ("prefill_tokens_per_s", "decode_tokens_per_s", "interference")
_SHARES = ("utilization_share", "cached_share")
_KEYS = ("device", "model", "devices", "kv_tokens", "source", *_RATES, *_SHARES)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCapacity:
    """A capacity with its device and model; a device of `kind` "cpu" is priced by the core."""

    capacity: Capacity
    device: str
    model: str
    kind: str = ""


def read_capacity(path: Path) -> GivenCapacity:
    """The capacity at `path`.

    Raises:
        UsageError: it cannot be read, a figure is missing or serves nothing.
    """
    table, where = read_toml(path), str(path)
    check_keys(table, _KEYS, where)
    prefill, decode = (number(table, key, where) for key in _RATES[:2])
    kv = number(table, "kv_tokens", where, low=1) if "kv_tokens" in table else None
    capacity = Capacity(
        prefill_tokens_per_s=prefill,
        decode_tokens_per_s=decode,
        interference=number(table, "interference", where),
        utilization_share=number(table, "utilization_share", where, high=1),
        cached_share=number(table, "cached_share", where, high=1),
        devices=int(number({"devices": 1, **table}, "devices", where, low=1)),
        binding="given",
        kv_tokens=None if kv is None else int(kv),
        origin=text(table, "source", where),
    )
    return GivenCapacity(
        capacity=capacity,
        device=text(table, "device", where),
        model=text({"model": "unnamed model", **table}, "model", where),
    )

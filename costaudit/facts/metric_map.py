"""What LLM servers' own metrics mean: their names → canonical quantities, units and sums.

The table is `data/metric_map.csv`, which names its sources. Canonical quantities keep one meaning
over all servers (`requests.running`, `kv.usage_fraction`, `latency.ttft`, …) and one unit: seconds,
bytes, tokens, shares from 0 to 1.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = Path(__file__).parent / "data" / "metric_map.csv"
_SCRAPED = {"gauge", "counter", "histogram", "summary"}
# Unit in the table → ours, and the factor. SGLang's "gb" are of 1024^3 bytes.
_UNITS = {
    "ms": ("s", 1e-3),
    "us": ("s", 1e-6),
    "ns": ("s", 1e-9),
    "percent": ("share", 1e-2),
    "fraction": ("share", 1.0),
    "GB": ("bytes", float(1 << 30)),
    "GiB": ("bytes", float(1 << 30)),
}
# Split by a label into quantities of their own; the other values of the label mean something else.
_BY_LABEL = {"vllm:num_requests_waiting_by_reason": "reason"}
_ONLY = {"vllm:prompt_tokens_by_source_total": ("source", "local_compute")}
# vLLM counted blocks, not tokens, under these names up to 0.8.5.
_BLOCKS_BEFORE = {
    "vllm:gpu_prefix_cache_queries_total": (0, 9),
    "vllm:gpu_prefix_cache_hits_total": (0, 9),
}
_MAYBE_PREFIXED = "trtllm_"  # trtllm-serve 1.0 to 1.2 had no prefix
# These run over the ranks of one engine, each of which repeats the engine's numbers.
RANK_LABELS = ("tp_rank", "pp_rank", "moe_ep_rank")


class Over(StrEnum):
    """How the series of one quantity (engines, replicas, reasons) become one number."""

    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricName:
    """One metric of one server.

    Attributes:
        server: whose it is ("vllm-v1", "sglang", "triton", …).
        native: its name on the wire, without labels.
        kind: "gauge", "counter", "histogram" or "summary".
        canonical: the quantity it is.
        unit, factor: canonical unit, and what its own value is multiplied by.
        over: how several series become one.
        labels: only the series with these labels are this quantity.
        split: the label whose values are told apart; "" none.
        since: first version known to have it.
    """

    server: str
    native: str
    kind: str
    canonical: str
    unit: str
    factor: float
    over: Over
    labels: Mapping[str, str]
    split: str
    since: str


@cache
def metric_names(*servers: str, version: str = "") -> Mapping[str, tuple[MetricName, ...]]:
    """The metrics of these servers by the name on the wire, without a counter's `_total`.

    Where several names mean one quantity, those of the first server, and the table's first, come
    first.
    """
    found: dict[str, list[MetricName]] = {}
    rows = [row for row in _rows() if row["server"] in servers and row["type"] in _SCRAPED]
    for row in sorted(rows, key=lambda row: servers.index(row["server"])):
        name = _name(row, version)
        for native in dict.fromkeys((name.native, name.native.removeprefix(_MAYBE_PREFIXED))):
            found.setdefault(stem(native), []).append(name)
    return MappingProxyType({key: tuple(names) for key, names in found.items()})


def spelled(name: str) -> str:
    """A name on the wire as the table has it.

    Ray re-exports vLLM's with `ray_vllm_` (older: `ray_vllm:`) for `vllm:`.
    """
    for prefix in ("ray_vllm_", "ray_vllm:"):
        if name.startswith(prefix):
            return f"vllm:{name.removeprefix(prefix)}"
    return name


def stem(name: str) -> str:
    """A counter's name without `_total`: servers add it, or not."""
    return name.removesuffix("_total")


@cache
def _rows() -> tuple[dict[str, str], ...]:
    lines = _TABLE.read_text(encoding="utf-8").splitlines()
    return tuple(csv.DictReader(line for line in lines if not line.startswith("#")))


def _name(row: dict[str, str], version: str) -> MetricName:
    native, _, labels = row["native_name"].partition("{")
    unit, factor = _UNITS.get(row["unit"], (row["unit"], 1.0))
    if native in _BLOCKS_BEFORE:
        unit = "blocks" if _version(version) < _BLOCKS_BEFORE[native] and version else "tokens"
    only = dict(pair.split("=") for pair in labels.rstrip("}").split(",") if "=" in pair)
    if native in _ONLY:
        only = dict([_ONLY[native]])
    canonical = row["canonical"]
    return MetricName(
        server=row["server"],
        native=native,
        kind=row["type"],
        canonical=canonical,
        unit=unit,
        factor=factor,
        over=_over(canonical, unit, row["type"]),
        labels=MappingProxyType(only),
        split=_BY_LABEL.get(native, ""),
        since=row["since"],
    )


def _over(canonical: str, unit: str, kind: str) -> Over:
    """Loads and capacities add up over engines; shares, settings and lengths do not."""
    if kind in {"counter", "histogram", "summary"}:
        return Over.SUM
    one = canonical.startswith(("config.", "model.", "kv.block_size", "kv.max_concurrency"))
    return Over.MAX if one or unit == "share" or canonical.startswith("spec.") else Over.SUM


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])

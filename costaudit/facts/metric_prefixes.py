"""Whose metrics a name is of, by how it begins.

Source: `data/metric_map.csv`, whose names these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPrefix:
    """Names of one server begin so; `servers` are whose rows of the metric map hold for them.

    `engine` is the name of the family of engines.
    """

    begins: str
    engine: str
    servers: tuple[str, ...]


# The particular first.
METRIC_PREFIXES = (
    MetricPrefix(begins="ray_vllm", engine="vllm", servers=("vllm-v1", "ray-serve-llm")),
    MetricPrefix(begins="nv_", engine="triton", servers=("triton-trtllm", "triton-vllm", "triton")),
    MetricPrefix(begins="vllm:", engine="vllm", servers=("vllm-v1", "vllm-v0")),
    MetricPrefix(begins="sglang:", engine="sglang", servers=("sglang",)),
    MetricPrefix(begins="tgi_", engine="tgi", servers=("tgi",)),
    MetricPrefix(begins="llamacpp:", engine="llamacpp", servers=("llamacpp",)),
    MetricPrefix(begins="lmdeploy:", engine="lmdeploy", servers=("lmdeploy",)),
    MetricPrefix(begins="trtllm_", engine="trtllm-serve", servers=("trtllm-serve",)),
    MetricPrefix(begins="dynamo_", engine="dynamo", servers=("dynamo",)),
    MetricPrefix(begins="litellm_", engine="litellm", servers=("litellm",)),
    MetricPrefix(begins="gpu_cache_usage_perc", engine="nim", servers=("nim",)),
)


def prefixes_of(names: Iterable[str]) -> tuple[MetricPrefix, ...]:
    """The prefixes that some of these names begin with, the particular first."""
    names = tuple(names)
    return tuple(
        prefix for prefix in METRIC_PREFIXES if any(n.startswith(prefix.begins) for n in names)
    )


def servers_of(names: Iterable[str]) -> tuple[str, ...]:
    """Whose rows of the metric map hold, by the names on a page; empty: nobody's."""
    return tuple(dict.fromkeys(server for one in prefixes_of(names) for server in one.servers))

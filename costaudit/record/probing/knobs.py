"""A server's settings under the names that the playbook knows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.servers.found import Found
    from costaudit.target.target import Target

ALIASES = {"enable_prefix_caching": "prefix_caching"}
# Engines whose scheduler works in iterations over a paged cache, whatever their settings; the
# sources are their own papers and manuals: PagedAttention (SOSP'23), SGLang's RadixAttention,
# TGI's and LMDeploy's manuals, TensorRT-LLM's in-flight batching.
PAGED = frozenset({"vllm", "sglang", "tgi", "lmdeploy", "trtllm-serve", "nim"})
CONTINUOUS = PAGED | {"llamacpp"}  # slots of a fixed size, joined and left between steps


def named_target(found: Found) -> Target:
    """The target with settings by their common names, and what its engine always does."""
    engine = found.target.engine
    knobs: dict[str, Value] = {
        ALIASES.get(name, name): value for name, value in found.target.knobs.items()
    }
    if (block := found.kv.get("block_size_tokens")) is not None:
        knobs.setdefault("kv_block_tokens", block)
    for name, value in _always(engine).items():
        knobs.setdefault(name, value)
    return replace(found.target, knobs=knobs)


def _always(engine: str) -> Mapping[str, Value]:
    why = f"how {engine} schedules"
    always = {}
    if engine in CONTINUOUS:
        always["batching"] = Value(value="continuous", origin=Origin.DEFAULT, why=why)
    if engine in PAGED:
        always["kv_layout"] = Value(value="paged", origin=Origin.DEFAULT, why=why)
    return always

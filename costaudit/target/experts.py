"""How many experts a configuration describes, and which layers have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import TargetError
from costaudit.target.config_reader import ConfigReader, entries
from costaudit.target.shape import Experts

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_PER_TOKEN = ("num_experts_per_tok", "experts_per_token", "moe_topk", "moe_k")
_SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
_DENSE = ("first_k_dense_replace", "moe_layer_start_index")
_STRIDES = ("decoder_sparse_step", "interleave_moe_layer_step")


def experts_of(read: ConfigReader, text: Mapping[str, Any], layers: int) -> Experts | None:
    """The mixture of experts; None where every layer has one ordinary MLP.

    Raises:
        TargetError: a number is missing or impossible.
    """
    count = read.size(_EXPERTS, default=0, low=0)
    if count <= 1:
        return None
    per_token = read.size(_PER_TOKEN)
    if per_token > count:
        raise TargetError(
            f"{read.where} is impossible: {per_token} of {count} experts act per token",
            hint="compare config.json with the published one",
        )
    ffn = read.size(("moe_intermediate_size", "intermediate_size"))
    shared = read.size(_SHARED, default=0, low=0) * ffn
    if "intermediate_size_mlp" in text:  # Llama 4: one shared expert beside the routed ones
        shared = ffn
    return Experts(
        count=count,
        per_token=per_token,
        ffn=ffn,
        shared_ffn=read.size(("shared_expert_intermediate_size",), default=shared, low=0),
        dense_layers=_dense_layers(read, text, layers),
    )


def _dense_layers(read: ConfigReader, text: Mapping[str, Any], layers: int) -> int:
    """Layers with an ordinary MLP: DeepSeek counts leading ones, Qwen lists or strides them.

    Llama 4 strides them under another name, or lists the others.
    """
    sparse = entries(text, "moe_layers")
    if sparse:
        return max(layers - len(sparse), 0)
    dense = read.size(_DENSE, default=0, low=0)
    listed = entries(text, "mlp_only_layers")
    stride = read.size((*_STRIDES, "moe_layer_freq"), default=1)
    if listed or any(name in text for name in _STRIDES):  # sparse when (i + 1) % stride == 0
        dense = sum(i in listed or (i + 1) % stride != 0 for i in range(layers))
    elif stride > 1:  # DeepSeek: layer i is sparse when i ≥ first_k and i % freq == 0
        dense = sum(i < dense or i % stride != 0 for i in range(layers))
    return min(dense, layers)

"""Hugging Face `config.json` → `ModelShape`, without torch.

Key names and the defaults of absent keys are those of the configuration classes in transformers
5.23 (`models/*/configuration_*.py`); each list below names the model types it holds for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from costaudit.ground.errors import TargetError
from costaudit.target.shape import Experts, LatentAttention, ModelShape
from costaudit.target.windows import windows_of

MAX_SIZE = 1 << 30  # no dimension of a real model comes near

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HIDDEN = ("hidden_size", "n_embd", "d_model", "n_embed")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
_FFN = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "ffn_intermediate_size")
_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_PER_TOKEN = ("num_experts_per_tok", "experts_per_token", "moe_topk")

# Two matrices in the MLP instead of three.
_PLAIN_MLP = frozenset(
    "bloom codegen falcon gpt2 gpt_bigcode gpt_neo gpt_neox gptj mpt nemotron opt phi "
    "starcoder2".split()
)
# These tie their embeddings when config.json does not say.
_TIED = frozenset(
    "bloom cohere cohere2 falcon gemma gemma2 gemma3 gemma3_text gpt2 gpt_bigcode gpt_neo mpt opt "
    "starcoder2".split()
)
# Layers whose work or state is not that of attention; the formulas here do not hold for them.
_OTHER_LAYERS = frozenset(
    "conv linear_attention mamba mamba2 recurrent hybrid ssm chunked_attention".split()
)


def shape_from_config(config: Mapping[str, Any], *, name: str = "") -> ModelShape:
    """The shape that a Hugging Face configuration describes.

    A multimodal configuration is read at its language part.

    Raises:
        TargetError: a needed number is missing or impossible, or the architecture is not one of
            attention layers.
    """
    text = _language_part(config)
    model_type = str(text.get("model_type") or config.get("model_type") or "")
    where = f"the configuration of {name}" if name else "the configuration"
    read = _Reader(text, where)
    layers, hidden, heads = read.size(_LAYERS), read.size(_HIDDEN), read.size(_HEADS)
    _refuse_other_layers(text, model_type, where)
    kv_heads = _kv_heads(read, text, model_type, heads)
    latent = _latent(read, text)
    return ModelShape(
        name=name or str(config.get("_name_or_path") or "") or model_type,
        architecture=_architecture(config, model_type),
        layers=layers,
        hidden=hidden,
        ffn=read.size(_FFN, default=4 * hidden),  # GPT-2, GPT-J, Falcon and Bloom may leave it out
        heads=heads,
        kv_heads=kv_heads,
        head_dim=_head_dim(read, text, latent, hidden, heads),
        vocab=read.size(("vocab_size",)),
        max_context_tokens=read.size(_CONTEXT),
        tied_embeddings=_tied(config, text, model_type),
        gated_mlp=model_type not in _PLAIN_MLP,
        experts=_experts(read, text, layers),
        latent=latent,
        windows=windows_of(text, model_type, layers, where),
    )


class _Reader:
    """Reads checked sizes; a class only to carry the two words every complaint needs."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self.table = table
        self.where = where

    def size(self, names: tuple[str, ...], *, default: int | None = None, low: int = 1) -> int:
        for name in names:
            if self.table.get(name) is not None:
                return whole(self.table[name], name, self.where, low=low)
        if default is None:
            raise TargetError(
                f"{self.where} has no {names[0]}",
                hint="is it the config.json of a causal language model?",
            )
        return default


def whole(value: object, name: str, where: str, *, low: int = 1) -> int:
    """A whole number within [low, MAX_SIZE].

    Raises:
        TargetError: anything else.
    """
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or number != int(number) or not low <= number <= MAX_SIZE:
        raise TargetError(
            f"{where} is impossible: {name} = {value!r} "
            f"is not a whole number from {low} to {MAX_SIZE}",
            hint="compare config.json with the published one",
        )
    return int(number)


def _language_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("text_config", "language_config", "llm_config"):
        part = config.get(key)
        if isinstance(part, Mapping) and any(name in part for name in (*_LAYERS, *_HIDDEN)):
            return part
    return config


def _architecture(config: Mapping[str, Any], model_type: str) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, (list, tuple)) and names else model_type


def _refuse_other_layers(text: Mapping[str, Any], model_type: str, where: str) -> None:
    kinds = text.get("layer_types") or text.get("layers_block_type") or ()
    other = sorted(_OTHER_LAYERS.intersection(map(str, kinds)))
    if not other and (model_type.startswith(("mamba", "rwkv")) or "ssm_cfg" in text):
        other = [model_type]
    if other:
        raise TargetError(
            f"{where} has layers that are not attention ({', '.join(other)})",
            hint="costaudit's formulas cover attention models only",
        )


def _kv_heads(read: _Reader, text: Mapping[str, Any], model_type: str, heads: int) -> int:
    shared = text.get("multi_query") is True and not text.get("new_decoder_architecture")
    if model_type in {"falcon", "gpt_bigcode"} and shared:
        return 1
    kv_heads = read.size(_KV_HEADS, default=heads)
    if heads % kv_heads:
        raise TargetError(
            f"{read.where} is impossible: {heads} attention heads "
            f"cannot share {kv_heads} key-value heads evenly",
            hint="compare config.json with the published one",
        )
    return kv_heads


def _head_dim(
    read: _Reader, text: Mapping[str, Any], latent: LatentAttention | None, hidden: int, heads: int
) -> int:
    if latent is not None:
        return latent.nope_dim + latent.rope_dim
    if text.get("head_dim") is not None:
        return read.size(("head_dim",))
    if hidden % heads:
        raise TargetError(
            f"{read.where} is impossible: hidden size {hidden} "
            f"cannot be split over {heads} attention heads",
            hint="compare config.json with the published one",
        )
    return hidden // heads


def _latent(read: _Reader, text: Mapping[str, Any]) -> LatentAttention | None:
    if text.get("kv_lora_rank") is None:
        return None
    return LatentAttention(
        kv_rank=read.size(("kv_lora_rank",)),
        rope_dim=read.size(("qk_rope_head_dim",)),
        q_rank=read.size(("q_lora_rank",)) if text.get("q_lora_rank") is not None else None,
        nope_dim=read.size(("qk_nope_head_dim",)),
        v_dim=read.size(("v_head_dim",)),
    )


def _experts(read: _Reader, text: Mapping[str, Any], layers: int) -> Experts | None:
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
    shared = read.size(("n_shared_experts", "num_shared_experts"), default=0, low=0) * ffn
    return Experts(
        count=count,
        per_token=per_token,
        ffn=ffn,
        shared_ffn=read.size(("shared_expert_intermediate_size",), default=shared, low=0),
        dense_layers=_dense_layers(read, text, layers),
    )


def _dense_layers(read: _Reader, text: Mapping[str, Any], layers: int) -> int:
    """Layers with an ordinary MLP: DeepSeek counts leading ones, Qwen lists or strides them."""
    dense = read.size(("first_k_dense_replace",), default=0, low=0)
    listed = text.get("mlp_only_layers") or ()
    stride = read.size(("decoder_sparse_step", "moe_layer_freq"), default=1)
    if "decoder_sparse_step" in text or listed:  # layer i is sparse when (i + 1) % stride == 0
        dense = sum(i in listed or (i + 1) % stride != 0 for i in range(layers))
    elif stride > 1:  # DeepSeek: layer i is sparse when i ≥ first_k and i % freq == 0
        dense = sum(i < dense or i % stride != 0 for i in range(layers))
    return min(dense, layers)


def _tied(config: Mapping[str, Any], text: Mapping[str, Any], model_type: str) -> bool:
    for table in (config, text):
        if isinstance(table.get("tie_word_embeddings"), bool):
            return bool(table["tie_word_embeddings"])
    return model_type in _TIED

"""Hugging Face `config.json` → `ModelShape`, without torch.

Key names and the defaults of absent keys are those of the configuration classes in transformers
5.23 (`models/*/configuration_*.py`); each list below names the model types it holds for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costaudit.ground.errors import TargetError
from costaudit.target.config_reader import ConfigReader, entries
from costaudit.target.experts import experts_of
from costaudit.target.shape import LatentAttention, ModelShape
from costaudit.target.windows import windows_of

MAX_LAYERS = 10_000

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HIDDEN = ("hidden_size", "n_embd", "d_model", "n_embed")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
_FFN = (
    "intermediate_size_mlp",  # Llama 4: its `intermediate_size` is that of an expert
    "intermediate_size",
    "n_inner",
    "ffn_dim",
    "ffn_hidden_size",
    "ffn_intermediate_size",
)
_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")

# Two matrices in the MLP instead of three.
_PLAIN_MLP = frozenset(
    [
        "apertus",
        "arcee",
        "biogpt",
        "bloom",
        "codegen",
        "falcon",
        "fuyu",
        "gpt2",
        "gpt_bigcode",
        "gpt_neo",
        "gpt_neox",
        "gpt_neox_japanese",
        "gptj",
        "jais2",
        "mpt",
        "nanochat",
        "nemotron",
        "opt",
        "persimmon",
        "phi",
        "starcoder2",
        "xglm",
    ]
)
# These tie their embeddings when config.json does not say.
_TIED = frozenset(
    [
        "biogpt",
        "bloom",
        "cohere",
        "cohere2",
        "cohere2_moe",
        "ernie4_5",
        "ernie4_5_moe",
        "falcon",
        "gemma",
        "gemma2",
        "gemma3",
        "gemma3_text",
        "gpt2",
        "gpt_bigcode",
        "gpt_neo",
        "gpt_neox_japanese",
        "granite_swa",
        "minicpm3",
        "mpt",
        "opt",
        "smollm3",
        "starcoder2",
        "vaultgemma",
        "xglm",
        "youtu",
    ]
)
# ALiBi has no limit of its own; the length it was trained on stands for it.
_NO_LIMIT = {"bloom": 2048}
# Layers whose work or state is not that of attention; the formulas here do not hold for them.
_OTHER_LAYERS = frozenset(
    [
        "conv",
        "hybrid",
        "linear_attention",
        "mamba",
        "mamba2",
        "recurrent",
        "ssm",
    ]
)
_OTHER_TYPES = frozenset(
    [
        "bamba",
        "falcon_h1",
        "falcon_mamba",
        "jamba",
        "lfm2",
        "lfm2_moe",
        "mamba",
        "mamba2",
        "recurrent_gemma",
        "rwkv",
        "xlstm",
    ]
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
    read = ConfigReader(text, where)
    _refuse_other_layers(text, model_type, where)
    layers = read.size(_LAYERS, high=MAX_LAYERS)
    hidden, heads = read.size(_HIDDEN), read.size(_HEADS)
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
        max_context_tokens=read.size(_CONTEXT, default=_NO_LIMIT.get(model_type)),
        tied_embeddings=_tied(config, text, model_type),
        gated_mlp=model_type not in _PLAIN_MLP,
        experts=experts_of(read, text, layers),
        latent=latent,
        windows=windows_of(text, model_type, layers, where),
    )


def _language_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("text_config", "language_config", "llm_config"):
        part = config.get(key)
        if isinstance(part, Mapping) and any(name in part for name in (*_LAYERS, *_HIDDEN)):
            return part
    return config


def _architecture(config: Mapping[str, Any], model_type: str) -> str:
    names = entries(config, "architectures")
    return str(names[0]) if names else model_type


def _refuse_other_layers(text: Mapping[str, Any], model_type: str, where: str) -> None:
    kinds = (*entries(text, "layer_types"), *entries(text, "layers_block_type"))
    other = sorted(_OTHER_LAYERS.intersection(map(str, kinds)))
    if not other and model_type in _OTHER_TYPES:
        other = [model_type]
    if other:
        raise TargetError(
            f"{where} has layers that are not attention ({', '.join(other)})",
            hint="costaudit's formulas cover attention models only",
        )


def _kv_heads(read: ConfigReader, text: Mapping[str, Any], model_type: str, heads: int) -> int:
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
    read: ConfigReader,
    text: Mapping[str, Any],
    latent: LatentAttention | None,
    hidden: int,
    heads: int,
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


def _latent(read: ConfigReader, text: Mapping[str, Any]) -> LatentAttention | None:
    if text.get("kv_lora_rank") is None:
        return None
    return LatentAttention(
        kv_rank=read.size(("kv_lora_rank",)),
        rope_dim=read.size(("qk_rope_head_dim",)),
        q_rank=read.size(("q_lora_rank",)) if text.get("q_lora_rank") is not None else None,
        nope_dim=read.size(("qk_nope_head_dim",)),
        v_dim=read.size(("v_head_dim",)),
    )


def _tied(config: Mapping[str, Any], text: Mapping[str, Any], model_type: str) -> bool:
    for table in (config, text):
        if isinstance(table.get("tie_word_embeddings"), bool):
            return bool(table["tie_word_embeddings"])
    return model_type in _TIED

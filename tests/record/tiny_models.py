"""Tiny random models of the architectures that matter, made in milliseconds."""

from __future__ import annotations

from typing import Any

SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}
LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 6,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
EXPERTS = {
    "num_key_value_heads": 2,
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "GQA": ("llama", {"num_key_value_heads": 2}),
    "MQA": ("llama", {"num_key_value_heads": 1}),
    "MHA": ("llama", {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "GQA with wide heads": ("qwen3", {"num_key_value_heads": 2, "head_dim": 16}),
    "MLA v3": ("deepseek_v3", {**LATENT, "q_lora_rank": 12}),
    "MLA v2": ("deepseek_v2", {**LATENT, "q_lora_rank": None, "topk_method": "greedy"}),
    "MoE Mixtral": ("mixtral", {"num_key_value_heads": 2, "num_local_experts": 4}),
    "MoE Qwen": ("qwen3_moe", {**EXPERTS, "head_dim": 8}),
    "windows Mistral": ("mistral", {"num_key_value_heads": 2, "sliding_window": 8}),
    "windows Gemma": (
        "gemma3_text",
        {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8, "sliding_window_pattern": 2},
    ),
    "windows gpt-oss": (
        "gpt_oss",
        {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "sliding_window": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
    ),
    "two-matrix MLP": ("phi", {"num_key_value_heads": 4}),
}


def tiny(kind: str, *, attention: str | None = None, device: str = "cpu", **changes: Any) -> Any:
    """A model of `kind` in float32 with seeded weights."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    model_type, special = KINDS[kind]
    config = CONFIG_MAPPING[model_type](**{**SMALL, **special, **changes})
    torch.manual_seed(7)
    chosen = {"attn_implementation": attention} if attention else {}
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32, **chosen).eval()

"""Shapes of three architectures, for step times that need no real model."""

from __future__ import annotations

from costaudit.target.shape import Experts, LatentAttention, ModelShape

DENSE = ModelShape(
    name="dense",
    architecture="llama",
    layers=8,
    hidden=512,
    ffn=1536,
    heads=8,
    kv_heads=4,
    head_dim=64,
    vocab=8192,
    max_context_tokens=4096,
)
WINDOWED = ModelShape(
    name="windowed",
    architecture="gemma3",
    layers=6,
    hidden=256,
    ffn=512,
    heads=4,
    kv_heads=1,
    head_dim=64,
    vocab=1000,
    max_context_tokens=4096,
    windows=(32, None, 32, 48, None, 32),
)
LATENT = ModelShape(
    name="latent",
    architecture="deepseek",
    layers=4,
    hidden=256,
    ffn=512,
    heads=8,
    kv_heads=8,
    head_dim=64,
    vocab=1000,
    max_context_tokens=4096,
    experts=Experts(count=16, per_token=2, ffn=128, dense_layers=1),
    latent=LatentAttention(kv_rank=64, rope_dim=16, q_rank=None, nope_dim=32, v_dim=32),
)

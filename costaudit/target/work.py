"""FLOPs and bytes of a step, from the shape alone.

Formulas: per-layer GEMM parameters, causal attention pairs, KV bytes; each function names its own.
Checked in the tests against torch's FLOP counter, parameter counts on the meta device and the
tensors that real caches hold.
"""

from __future__ import annotations

from costaudit.target.load import StepLoad
from costaudit.target.shape import LatentAttention, ModelShape


def attention_params(shape: ModelShape) -> int:
    """Weights of one layer's attention projections (GQA/MQA/MHA, or MLA)."""
    h, heads = shape.hidden, shape.heads
    if shape.latent is None:
        q_and_o = 2 * h * heads * shape.head_dim
        return q_and_o + 2 * h * shape.kv_heads * shape.head_dim
    mla: LatentAttention = shape.latent
    qk = mla.nope_dim + mla.rope_dim
    query = h * mla.q_rank + mla.q_rank * heads * qk if mla.q_rank else h * heads * qk
    down = h * (mla.kv_rank + mla.rope_dim)
    up = mla.kv_rank * heads * (mla.nope_dim + mla.v_dim)
    return query + down + up + heads * mla.v_dim * h


def mlp_params(shape: ModelShape, ffn: int) -> int:
    """Weights of one MLP of width `ffn`: three matrices when gated, else two."""
    return (3 if shape.gated_mlp else 2) * shape.hidden * ffn


def _mlp_layers(shape: ModelShape, experts_touched: float) -> float:
    """MLP weights of all layers when `experts_touched` routed experts are read in each MoE layer."""
    moe = shape.experts
    if moe is None:
        return shape.layers * mlp_params(shape, shape.ffn)
    dense = moe.dense_layers * mlp_params(shape, shape.ffn)
    router = shape.hidden * moe.count
    routed = experts_touched * mlp_params(shape, moe.ffn)
    shared = mlp_params(shape, moe.shared_ffn)
    return dense + (shape.layers - moe.dense_layers) * (router + routed + shared)


def total_params(shape: ModelShape) -> int:
    """Matrix parameters with embeddings; norms and biases (< 0.1 %) only where counted."""
    if shape.params is not None:
        return shape.params
    experts = shape.experts.count if shape.experts else 0
    tables = (1 if shape.tied_embeddings else 2) * shape.vocab * shape.hidden
    return int(shape.layers * attention_params(shape) + _mlp_layers(shape, experts)) + tables


def active_params(shape: ModelShape) -> int:
    """Parameters that multiply each token inside the layers (no embedding, no output head)."""
    experts = shape.experts.per_token if shape.experts else 0
    return int(shape.layers * attention_params(shape) + _mlp_layers(shape, experts))


def read_params(shape: ModelShape, rows: float) -> float:
    """Parameters read from memory by one step of `rows` tokens, output head included.

    The embedding is a gather and not counted. Of E experts with k per token, uniform routing
    of `rows` tokens touches E·(1 − (1 − k/E)^rows).
    """
    moe = shape.experts
    touched = moe.count * (1 - (1 - moe.per_token / moe.count) ** max(rows, 0.0)) if moe else 0.0
    layers = shape.layers * attention_params(shape) + _mlp_layers(shape, touched)
    return layers + shape.vocab * shape.hidden


def _pair_width(shape: ModelShape) -> float:
    """Score plus value width of one head: elements multiplied per query-key pair, per layer."""
    if shape.latent is None:
        return 2.0 * shape.head_dim
    return 2.0 * shape.latent.kv_rank + shape.latent.rope_dim  # absorbed form, as decoded


def _seen_share(shape: ModelShape, context_tokens: float) -> float:
    """Share of a context that attention reads, averaged over layers (1 without windows)."""
    if not shape.windows or context_tokens <= 0:
        return 1.0
    seen = sum(min(w, context_tokens) if w else context_tokens for w in shape.windows)
    return seen / (shape.layers * context_tokens)


def prefill_flops(shape: ModelShape, load: StepLoad) -> float:
    """2·N_active·P + 2·h·V per prompt + 4·L·H·d·pairs (pairs are causal already)."""
    if not load.prefill_tokens:
        return 0.0
    linear = 2.0 * active_params(shape) * load.prefill_tokens
    head = 2.0 * shape.hidden * shape.vocab * load.prefill_seqs
    mean_context = load.prefill_pairs / load.prefill_tokens
    pairs = load.prefill_pairs * _seen_share(shape, mean_context)
    return linear + head + 2.0 * shape.layers * shape.heads * _pair_width(shape) * pairs


def decode_flops(shape: ModelShape, load: StepLoad) -> float:
    """2·(N_active + h·V)·B + 4·L·H·d·context."""
    if not load.decode_seqs:
        return 0.0
    linear = 2.0 * (active_params(shape) + shape.hidden * shape.vocab) * load.decode_seqs
    context = load.decode_context_tokens + load.decode_seqs  # each row also sees itself
    seen = context * _seen_share(shape, context / load.decode_seqs)
    return linear + 2.0 * shape.layers * shape.heads * _pair_width(shape) * seen


def kv_bytes_per_token(shape: ModelShape, element_bytes: float) -> float:
    """Cache bytes that one token adds while no window is full: 2·L·K·d·b, MLA L·(r + d_rope)·b."""
    if shape.latent is not None:
        return shape.layers * (shape.latent.kv_rank + shape.latent.rope_dim) * element_bytes
    return 2.0 * shape.layers * shape.kv_heads * shape.head_dim * element_bytes


def kv_bytes(shape: ModelShape, context_tokens: float, element_bytes: float) -> float:
    """Cache bytes of one sequence; windowed layers hold at most their window."""
    per_token = kv_bytes_per_token(shape, element_bytes)
    return per_token * context_tokens * _seen_share(shape, context_tokens)


def decode_kv_bytes(shape: ModelShape, load: StepLoad, element_bytes: float) -> float:
    """Cache bytes read and written by the decoding sequences of one step: B·(C+1)·kv."""
    if not load.decode_seqs:
        return 0.0
    context = (load.decode_context_tokens + load.decode_seqs) / load.decode_seqs
    return load.decode_seqs * kv_bytes(shape, context, element_bytes)


def weight_bytes(shape: ModelShape, rows: float, param_bytes: float) -> float:
    """Weight bytes that one step of `rows` tokens reads."""
    return read_params(shape, rows) * param_bytes

"""FLOPs and bytes of a step, from the shape alone.

Formulas: per-layer GEMM parameters, causal attention pairs, KV bytes; each function names its own.
Checked in the tests against torch's FLOP counter, parameter counts on the meta device and the
tensors that real caches hold.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """MLP weights of all layers; each MoE layer reads `experts_touched` routed experts."""
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


def _prefill_pair_width(shape: ModelShape) -> float:
    """Elements multiplied per query-key pair and head: the score's width plus the value's."""
    mla = shape.latent
    return 2.0 * shape.head_dim if mla is None else mla.nope_dim + mla.rope_dim + mla.v_dim


def _decode_pair_width(shape: ModelShape) -> float:
    """The same in decode: MLA works on the latent itself (absorbed form), 2·r + d_rope."""
    mla = shape.latent
    return 2.0 * shape.head_dim if mla is None else 2.0 * mla.kv_rank + mla.rope_dim


def _windows(shape: ModelShape) -> Mapping[int | None, int]:
    """How many layers have which window."""
    return _counted(shape.windows) if shape.windows else {None: shape.layers}


@lru_cache(maxsize=256)
def _counted(windows: tuple[int | None, ...]) -> Mapping[int | None, int]:
    return Counter(windows)


def _windowed_pairs(new: float, cached: float, window: int) -> float:
    """Σ min(w, C + i) for i = 1 … P: causal pairs of P new tokens under a window of w tokens."""
    growing = min(max(window - cached, 0.0), new)
    return growing * cached + growing * (growing + 1) / 2 + (new - growing) * window


def _prefill_layer_pairs(shape: ModelShape, load: StepLoad) -> float:
    """Causal pairs of the step, summed over layers; exact where its prompts are equally long."""
    if not shape.windows:
        return shape.layers * load.prefill_pairs
    seqs = max(load.prefill_seqs, 1.0)
    new = load.prefill_tokens / seqs
    cached = max(load.prefill_pairs / load.prefill_tokens - (new + 1) / 2, 0.0)
    return math.fsum(
        layers * (load.prefill_pairs if w is None else seqs * _windowed_pairs(new, cached, w))
        for w, layers in _windows(shape).items()
    )


def _decode_layer_context(shape: ModelShape, load: StepLoad) -> float:
    """Tokens that the decoding rows see, themselves included, summed over layers.

    Exact where the rows' contexts are equal: a windowed layer sees min(w, C + 1).
    """
    context = load.decode_context_tokens / load.decode_seqs + 1
    seen = (n * (context if w is None else min(w, context)) for w, n in _windows(shape).items())
    return load.decode_seqs * math.fsum(seen)


def prefill_flops(shape: ModelShape, load: StepLoad) -> float:
    """2·N_active·P + 2·h·V per prompt + 4·L·H·d·pairs (pairs are causal already).

    Every projection runs once per new token, MLA's latent-to-heads one too.
    """
    if not load.prefill_tokens:
        return 0.0
    pairs = _prefill_layer_pairs(shape, load)
    attention = 2.0 * shape.heads * _prefill_pair_width(shape) * pairs
    return prefill_linear_flops(shape, load) + attention


def prefill_linear_flops(shape: ModelShape, load: StepLoad) -> float:
    """Those of `prefill_flops` outside attention: 2·N_active·P + 2·h·V per prompt."""
    linear = 2.0 * active_params(shape) * load.prefill_tokens
    return linear + 2.0 * shape.hidden * shape.vocab * load.prefill_seqs


def decode_flops(shape: ModelShape, load: StepLoad) -> float:
    """2·(N_active + h·V)·B + 4·L·H·d·context."""
    if not load.decode_seqs:
        return 0.0
    linear = 2.0 * (active_params(shape) + shape.hidden * shape.vocab) * load.decode_seqs
    seen = _decode_layer_context(shape, load)
    return linear + 2.0 * shape.heads * _decode_pair_width(shape) * seen


def _kv_layer_bytes(shape: ModelShape, element_bytes: float) -> float:
    """Cache bytes of one token in one layer: 2·K·d·b, MLA (r + d_rope)·b."""
    if shape.latent is not None:
        return (shape.latent.kv_rank + shape.latent.rope_dim) * element_bytes
    return 2.0 * shape.kv_heads * shape.head_dim * element_bytes


def kv_bytes_per_token(shape: ModelShape, element_bytes: float) -> float:
    """Cache bytes that one token adds while no window is full: 2·L·K·d·b, MLA L·(r + d_rope)·b."""
    return shape.layers * _kv_layer_bytes(shape, element_bytes)


def kv_bytes(shape: ModelShape, context_tokens: float, element_bytes: float) -> float:
    """Cache bytes held for one sequence, as transformers stores it.

    A windowed layer keeps w - 1 tokens: the next one brings itself.
    """
    held = (
        n * (context_tokens if w is None else min(w - 1, context_tokens))
        for w, n in _windows(shape).items()
    )
    return _kv_layer_bytes(shape, element_bytes) * math.fsum(held)


def decode_kv_bytes(shape: ModelShape, load: StepLoad, element_bytes: float) -> float:
    """Cache bytes read and written by the decoding sequences of one step: B·(C+1)·kv."""
    if not load.decode_seqs:
        return 0.0
    return _kv_layer_bytes(shape, element_bytes) * _decode_layer_context(shape, load)


def weight_bytes(shape: ModelShape, rows: float, param_bytes: float) -> float:
    """Weight bytes that one step of `rows` tokens reads."""
    return read_params(shape, rows) * param_bytes

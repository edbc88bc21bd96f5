"""The shape of a transformer: all that its speed and its memory depend on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek): ranks and head parts, in elements."""

    kv_rank: int
    rope_dim: int
    q_rank: int | None
    nope_dim: int
    v_dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Mixture of experts: how many, how many act per token, how wide."""

    count: int
    per_token: int
    ffn: int  # intermediate size of one routed expert
    shared_ffn: int = 0  # summed intermediate size of the experts that always act
    dense_layers: int = 0  # leading layers with an ordinary MLP of the model's `ffn`


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Architecture of one causal language model; sizes in elements.

    `windows` holds one entry per layer: the sliding window in tokens, or None for full attention.
    `params` is the true number of parameters where it was counted, else None (formula, see `work`).
    """

    name: str
    architecture: str
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    max_context_tokens: int
    tied_embeddings: bool = False
    gated_mlp: bool = True
    experts: Experts | None = None
    latent: LatentAttention | None = None
    windows: tuple[int | None, ...] = ()
    params: int | None = None

    def window(self, layer: int) -> int | None:
        """Sliding window of a layer in tokens; None where attention is full."""
        return self.windows[layer] if self.windows else None

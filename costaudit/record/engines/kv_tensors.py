"""KV caches as transformers holds them: filled with random states, set back, weighed."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

from costaudit.record.engines.fp8_cache import fp8_static_cache, is_static
from costaudit.record.engines.step_graph import untouched

if TYPE_CHECKING:
    from collections.abc import Callable

DRAWN_TOKENS = 1024
CHUNK_TOKENS = 512  # of a real prefill, where states cannot be written directly


def keeps_last_logits(model: Any) -> dict[str, int]:
    """Arguments that make a forward pass compute the logits of the last position only."""
    return {"logits_to_keep": 1} if "logits_to_keep" in _parameters(model) else {}


def _parameters(model: Any) -> frozenset[str]:
    return frozenset(inspect.signature(model.forward).parameters)


def random_ids(model: Any, seqs: int, tokens: int) -> Any:
    """Random token ids of shape [seqs, tokens] on the model's device."""
    import torch

    high = model.get_input_embeddings().num_embeddings
    return torch.randint(0, high, (seqs, tokens), device=model.device)


def empty_cache(model: Any, *, room: int = 0, fp8: bool = False) -> Any:
    """A cache as `generate` would make it; static where it has `room` for so many tokens."""
    from transformers import DynamicCache, StaticCache

    if room and fp8:
        return fp8_static_cache(model, room=room)
    if room:
        return StaticCache(config=model.config, max_cache_len=room)
    return DynamicCache(config=model.config)


def filled_cache(model: Any, *, seqs: int, tokens: int, room: int = 0, fp8: bool = False) -> Any:
    """A cache that holds `tokens` random states for each of `seqs` sequences; see `empty_cache`.

    Plain layers are filled through their own `update`, which costs no computation; other
    kinds (indexed, linear attention) get a real prefill in chunks.
    """
    if tokens == 0:
        return empty_cache(model, room=room, fp8=fp8)
    with untouched(model):
        sample = model(random_ids(model, 1, 1), past_key_values=empty_cache(model), use_cache=True)
    if not all(_writable(layer) for layer in sample.past_key_values.layers):
        return _prefilled(model, seqs, tokens, empty_cache(model, room=room, fp8=fp8))
    cache = empty_cache(model, room=room, fp8=fp8)
    for index, layer in enumerate(sample.past_key_values.layers):
        if layer.is_initialized:  # a layer that shares another's states holds none
            cache.update(
                _states(layer.keys, seqs, tokens), _states(layer.values, seqs, tokens), index
            )
    return cache


def _writable(layer: Any) -> bool:
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    return type(layer) in (DynamicLayer, DynamicSlidingWindowLayer)


def _states(like: Any, seqs: int, tokens: int) -> Any:
    """Random states; what is drawn once is repeated along tokens and rows, for drawing is slow."""
    drawn = like.new_empty(1, like.shape[1], min(tokens, DRAWN_TOKENS), like.shape[3]).normal_()
    row = drawn.repeat(1, 1, -(-tokens // DRAWN_TOKENS), 1)[..., :tokens, :]
    return row.expand(seqs, -1, -1, -1)


def _prefilled(model: Any, seqs: int, tokens: int, cache: Any) -> Any:
    for start in range(0, tokens, CHUNK_TOKENS):
        ids = random_ids(model, seqs, min(CHUNK_TOKENS, tokens - start))
        model(ids, past_key_values=cache, use_cache=True, **keeps_last_logits(model))
    return cache


def restorer(cache: Any) -> Callable[[], None]:
    """A function that sets the cache back to what it holds now.

    A full-attention layer is cut back to its length, so no second copy of it is ever held. A
    windowed layer replaces its tensors and never writes into them: the old references are enough.
    A static layer only has to forget its length: what lies behind is masked. Anything else is
    copied.
    """
    if all(is_static(layer) for layer in cache.layers):
        return _length_restorer(cache)
    saved = [
        dict(vars(layer)) if _writable(layer) else copy.deepcopy(vars(layer))
        for layer in cache.layers
    ]
    lengths = [layer.keys.shape[-2] if _grows(layer) else None for layer in cache.layers]
    for state, length in zip(saved, lengths, strict=True):
        if length is not None:
            state.clear()

    def restore() -> None:
        for layer, state, length in zip(cache.layers, saved, lengths, strict=True):
            if length is not None:
                layer.keys = layer.keys[..., :length, :]
                layer.values = layer.values[..., :length, :]
            else:
                vars(layer).clear()
                vars(layer).update(state if _writable(layer) else copy.deepcopy(state))

    return restore


def _length_restorer(cache: Any) -> Callable[[], None]:
    import torch

    lengths = [int(layer.cumulative_length) for layer in cache.layers]

    def restore() -> None:
        with torch.inference_mode():
            for layer, length in zip(cache.layers, lengths, strict=True):
                layer.cumulative_length.fill_(length)

    return restore


def _grows(layer: Any) -> bool:
    """Does it hold states of a layer that keeps all of them?"""
    return _writable(layer) and layer.is_initialized and not layer.is_sliding


def held_bytes(cache: Any) -> int:
    """Bytes of all state tensors in a cache (their elements, not the storage behind a view)."""
    import torch

    tensors = [
        value
        for layer in cache.layers
        for value in vars(layer).values()
        if isinstance(value, torch.Tensor) and value.ndim > 2  # noqa: PLR2004 states, not lengths
    ]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

"""A static KV cache in FP8: half the bytes are held; transformers' attention reads it unpacked.

No attention that transformers ships reads 8 bits, so each step unpacks a layer's whole cache
before it attends. That saves memory, and not time.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def fp8_static_cache(model: Any, *, room: int) -> Any:
    """The StaticCache of a model for `room` tokens, its full-attention layers in float8_e4m3fn.

    Layers of other kinds stay as they are. Keys and values are cast without a scale: behind a norm
    and a projection they lie within the format's range of ±448.
    """
    from transformers import StaticCache
    from transformers.cache_utils import StaticLayer

    made = StaticCache(config=model.config, max_cache_len=room)
    made.layers = [
        _layer_class()(max_cache_len=room) if type(layer) is StaticLayer else layer
        for layer in made.layers
    ]
    return made


@cache
def _layer_class() -> Any:
    import torch
    from transformers.cache_utils import StaticLayer

    class Fp8StaticLayer(StaticLayer):  # type: ignore[misc]
        """Its tensors hold 8 bits; what it hands out has the model's dtype."""

        keys: Any
        values: Any

        def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
            super().lazy_initialization(key_states, value_states)
            self.keys = self.keys.to(torch.float8_e4m3fn)
            self.values = self.values.to(torch.float8_e4m3fn)

        def update(
            self, key_states: Any, value_states: Any, *_args: Any, **_kwargs: Any
        ) -> tuple[Any, Any]:
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            new = key_states.shape[-2]
            places = torch.arange(new, device=self.device) + self.cumulative_length
            self.cumulative_length.add_(new)
            for held, states in ((self.keys, key_states), (self.values, value_states)):
                # Bytes are copied as bytes: not every device copies float8 by index.
                packed = states.to(torch.float8_e4m3fn).view(torch.uint8)
                held.view(torch.uint8).index_copy_(2, places, packed)
            return self.keys.to(self.dtype), self.values.to(self.dtype)

    return Fp8StaticLayer


def is_static(layer: Any) -> bool:
    """Is it a full-attention layer of fixed size, of transformers or of this file?"""
    from transformers.cache_utils import StaticLayer

    return type(layer) in (StaticLayer, _layer_class())

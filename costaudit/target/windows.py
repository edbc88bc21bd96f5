"""Which layers of a model see only a sliding window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Every layer is windowed where `sliding_window` is set (transformers 5.23).
_ALL_LAYERS = frozenset(["mistral", "mixtral", "ministral", "phi3", "phimoe", "starcoder2"])
# Windowed only with `use_sliding_window`, from layer `max_window_layers` on.
_ON_REQUEST = frozenset(["qwen2", "qwen2_moe", "qwen3", "qwen3_moe"])
# One full layer in so many, the last of each group.
_ONE_FULL_IN = {
    "cohere2": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3_text": 6,
    "gpt_oss": 2,
    "llama4": 4,
    "llama4_text": 4,
}
_WINDOWED = frozenset({"sliding_attention", "chunked_attention"})


def windows_of(
    text: Mapping[str, Any], model_type: str, layers: int, where: str
) -> tuple[int | None, ...]:
    """Sliding window of each layer in tokens, None where attention is full; () when all are full.

    Raises:
        TargetError: the window or the list of layer types is impossible.
    """
    window = text.get("sliding_window")
    if window is None and model_type in {"llama4", "llama4_text"}:
        # A chunk is held like a window; a token sees half of it on average, this says all.
        window = text.get("attention_chunk_size")
    if window is None or window is False or window == 0:
        return ()
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise TargetError(
            f"{where} is impossible: sliding_window = {window!r} is not a positive whole number",
            hint="compare config.json with the published one",
        )
    windowed = _windowed(text, model_type, layers)
    if len(windowed) != layers:
        raise TargetError(
            f"{where} is impossible: {len(windowed)} layer types for {layers} layers",
            hint="compare config.json with the published one",
        )
    return tuple(window if w else None for w in windowed) if any(windowed) else ()


def _windowed(text: Mapping[str, Any], model_type: str, layers: int) -> list[bool]:
    kinds = text.get("layer_types")
    if isinstance(kinds, (list, tuple)):
        return [kind in _WINDOWED for kind in kinds]
    if model_type in _ON_REQUEST:
        first = text.get("max_window_layers")
        first = first if isinstance(first, int) else 0
        return [text.get("use_sliding_window") is True and i >= first for i in range(layers)]
    group = text.get("sliding_window_pattern") or _ONE_FULL_IN.get(model_type)
    if isinstance(group, int) and group > 1:
        return [(i + 1) % group != 0 for i in range(layers)]
    return [model_type in _ALL_LAYERS] * layers

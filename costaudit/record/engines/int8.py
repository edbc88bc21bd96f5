"""Linear layers in 8 bits by torch's own dynamic quantization; everything else stays as it was."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.record.engines.engine import Timing

TIMED_WEIGHTS = 8 << 20  # of the model's layers: more than a cache holds, soon multiplied
ROUNDS = 3


def speedups(
    model: Any, timed: Callable[[Callable[[], None]], Timing], rows: Sequence[int]
) -> Mapping[int, float]:
    """Seconds of the model's own linear layers over those of their int8, by rows of a step.

    The first layers, up to TIMED_WEIGHTS, one behind the other as in a step; the fastest of
    ROUNDS interleaved rounds. The model itself stays as it is.
    """
    import torch

    pairs, weights = [], 0
    for layer in model.modules():
        if type(layer) is torch.nn.Linear and weights < TIMED_WEIGHTS:
            pairs.append((layer, _quantized(layer)))
            weights += layer.weight.numel()
    found = {}
    for count in rows:
        data = {p.in_features: p.weight.new_empty(count, p.in_features).normal_() for p, _ in pairs}
        best = [float("inf")] * 2
        for _ in range(ROUNDS):
            for side in range(2):
                run = partial(_multiply, pairs, side, data)
                best[side] = min(best[side], timed(run).seconds)
        found[count] = best[0] / best[1]
    return found


def _multiply(pairs: Sequence[tuple[Any, Any]], side: int, data: Mapping[int, Any]) -> None:
    import torch

    with torch.inference_mode():
        for pair in pairs:
            pair[side](data[pair[0].in_features])


def quantize_linears(model: Any) -> None:
    """Put `torch.ao`'s dynamic int8 in the place of every linear layer of `model`.

    Weights are int8 with one scale per tensor, activations are quantized step by step. Its kernel
    takes float32; around it a model of another dtype is converted, so that attention, norms and
    cache keep their dtype.
    """
    import torch

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(parent, name, _quantized(child))


def _quantized(linear: Any) -> Any:
    import torch

    class Converted(torch.nn.Module):
        """An int8 layer between two conversions."""

        def __init__(self, inner: Any, dtype: Any) -> None:
            super().__init__()
            self.inner, self.dtype = inner, dtype

        def forward(self, rows: Any) -> Any:
            return self.inner(rows.float()).to(self.dtype)

    plain = torch.nn.Linear(1, 1, bias=linear.bias is not None)
    plain.in_features, plain.out_features = linear.in_features, linear.out_features
    # Copies: a head may share its tensor with the embedding, which stays as it is.
    plain.weight = torch.nn.Parameter(linear.weight.detach().float())
    if linear.bias is not None:
        plain.bias = torch.nn.Parameter(linear.bias.detach().float())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao announces its successor
        quantize: Any = torch.ao.quantization.quantize_dynamic
        inner = quantize(torch.nn.Sequential(plain), {torch.nn.Linear}, dtype=torch.qint8)[0]
    dtype = linear.weight.dtype
    return inner if dtype is torch.float32 else Converted(inner, dtype)

"""Linear layers in 8 bits by torch's own dynamic quantization; everything else stays as it was."""

from __future__ import annotations

import warnings
from typing import Any


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

"""Linear layers in 8 and 4 bits by the kernels that torch itself brings; nothing is downloaded.

"fp8"           weights and inputs in float8_e4m3fn, a scale per row of each; the input is quantized
                step by step, since a model pays for that too (`torch._scaled_mm`)
"int8-weights"  int8 weights, a scale per output; inputs stay (`torch._weight_int8pack_mm`)
"int4-weights"  4-bit weights in groups of 128 inputs, each with scale and zero point
                (`torch._weight_int4pack_mm`, in bfloat16)

The output head stays as it is, as all recipes keep it.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from costaudit.record.engines.step_graph import launched_as_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.record.engines.engine import Timing

FORMATS = ("fp8", "int8-weights", "int4-weights")
GROUP = 128
PARAM_BYTES: Mapping[str, float] = {
    "fp8": 1.0,
    "int8-weights": 1.0,
    "int4-weights": 0.5 + 4 / GROUP,  # a scale and a zero point of 16 bits for each group
}
_FP8_LARGEST = 448.0  # of float8_e4m3fn
_TINY = 1e-12  # a row of zeros has a scale too
_INNER_TILES = 8  # of the 4-bit kernel on CUDA
_TIMED_WEIGHTS = 1 << 28  # of the model's layers: half a GB in bfloat16, beyond any cache
_ROUNDS = 3


def why_not(form: str, device: Any) -> str:
    """Why this device's kernels cannot do a format; "" where they can. Tried, not looked up."""
    import torch

    try:
        linear = torch.nn.Linear(2 * GROUP, 2 * GROUP, bias=False, dtype=torch.bfloat16)
        layer = low_bit_linear(linear.to(device), form)
        layer(torch.ones(1, 2 * GROUP, device=device, dtype=torch.bfloat16))
    except (RuntimeError, NotImplementedError, ValueError) as err:
        return " ".join(str(err).split())[:160] or type(err).__name__
    return ""


def quantize_model(model: Any, form: str) -> None:
    """Put a low-bit layer in the place of every linear layer that it can hold, but for the head.

    A layer whose inputs are no whole number of groups stays as it is.
    """
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child is not head and fits(child):
                setattr(parent, name, low_bit_linear(child, form))


def fits(layer: Any) -> bool:
    """Is it a linear layer of whole groups?"""
    import torch

    return (
        type(layer) is torch.nn.Linear
        and layer.in_features % GROUP == 0
        and layer.out_features % 16 == 0
    )


def low_bit_linear(linear: Any, form: str) -> Any:
    """A layer that multiplies as `linear` does, in a format of FORMATS."""
    multiply = _KERNELS[form](linear.weight.detach())
    bias = None if linear.bias is None else linear.bias.detach()
    return _layer_class()(multiply, bias, linear.in_features, linear.out_features)


def speedups(
    model: Any, timed: Callable[[Callable[[], None]], Timing], rows: Sequence[int]
) -> Mapping[str, Mapping[int, float]]:
    """Seconds of the model's own linear layers over those of each format, by rows of a step.

    The first layers, one behind the other as in a step, launched as one where that can be done: the
    kernels count, not Python. The fastest of interleaved rounds; a format that the device cannot do
    is left out. The model itself stays as it is.
    """
    import torch

    head, layers, weights = model.get_output_embeddings(), [], 0
    for layer in model.modules():
        if layer is not head and fits(layer) and weights < _TIMED_WEIGHTS:
            layers.append(layer)
            weights += layer.weight.numel()
    found: dict[str, dict[int, float]] = {}
    for form in FORMATS if layers else ():
        if why_not(form, model.device):
            continue
        small = [low_bit_linear(layer, form) for layer in layers]
        found[form] = {}
        for count in rows:
            inputs = {
                layer.in_features: torch.randn(count, layer.in_features, device=model.device).to(
                    layer.weight.dtype
                )
                for layer in layers
            }
            was, now = _fastest((layers, small), inputs, timed)
            found[form][count] = was / now
    return found


def _fastest(
    sides: Sequence[Sequence[Any]],
    inputs: Mapping[int, Any],
    timed: Callable[[Callable[[], None]], Timing],
) -> list[float]:
    runs = [launched_as_one(partial(_multiply, layers, inputs)) for layers in sides]
    best = [float("inf")] * len(sides)
    for _ in range(_ROUNDS):
        for place, run in enumerate(runs):
            best[place] = min(best[place], timed(run).seconds)
    return best


def _multiply(layers: Sequence[Any], inputs: Mapping[int, Any]) -> None:
    import torch

    with torch.inference_mode():
        for layer in layers:
            layer(inputs[layer.in_features])


def _fp8(weight: Any) -> Any:
    import torch

    def packed(rows: Any) -> tuple[Any, Any]:
        largest = torch.linalg.vector_norm(rows, ord=torch.inf, dim=1, keepdim=True)
        scale = largest.float().clamp(min=_TINY) / _FP8_LARGEST
        return (rows / scale).to(torch.float8_e4m3fn), scale

    small, scale = packed(weight)
    small, scale = small.t(), scale.t().contiguous()  # column-major, as the kernel wants it

    def multiply(rows: Any) -> Any:
        given, own = packed(rows)
        return torch._scaled_mm(  # noqa: SLF001 - torch offers no other door to it
            given, small, scale_a=own, scale_b=scale, out_dtype=torch.bfloat16
        ).to(rows.dtype)

    return multiply


def _int8(weight: Any) -> Any:
    import torch

    scale = weight.abs().amax(dim=1).float().clamp(min=_TINY) / 127
    small = torch.round(weight.float() / scale[:, None]).to(torch.int8)
    scale = scale.to(weight.dtype)

    def multiply(rows: Any) -> Any:
        return torch._weight_int8pack_mm(rows, small, scale)  # noqa: SLF001 - likewise

    return multiply


def _int4(weight: Any) -> Any:
    import torch

    grouped = weight.float().reshape(len(weight), -1, GROUP)
    low = grouped.amin(dim=-1, keepdim=True)
    scale = (grouped.amax(dim=-1, keepdim=True) - low).clamp(min=_TINY) / 15
    codes = torch.round((grouped - low) / scale).to(torch.int32).reshape(weight.shape)
    # The kernel's value is (code - 8) · scale + zero; the pairs are wanted by group, then output.
    pairs = torch.cat([scale, low + 8 * scale], dim=-1).transpose(0, 1).contiguous().bfloat16()
    aten = torch.ops.aten
    if weight.is_cuda:
        nibbles = (codes[:, ::2] << 4 | codes[:, 1::2]).to(torch.uint8)
        packed = aten._convert_weight_to_int4pack(nibbles, _INNER_TILES)  # noqa: SLF001
        kernel = aten._weight_int4pack_mm  # noqa: SLF001
    else:
        packed = aten._convert_weight_to_int4pack_for_cpu(codes, 1)  # noqa: SLF001
        kernel = aten._weight_int4pack_mm_for_cpu  # noqa: SLF001

    def multiply(rows: Any) -> Any:
        return kernel(rows.bfloat16(), packed, GROUP, pairs).to(rows.dtype)

    return multiply


_KERNELS: Mapping[str, Callable[[Any], Any]] = {  # weight [out, in] → rows [m, in] → [m, out]
    "fp8": _fp8,
    "int8-weights": _int8,
    "int4-weights": _int4,
}


@cache
def _layer_class() -> Any:
    """The module that stands in for torch.nn.Linear; made late, since torch is imported late."""
    import torch

    class LowBitLinear(torch.nn.Module):
        """A linear layer by a kernel of few bits."""

        def __init__(self, multiply: Any, bias: Any, inputs: int, outputs: int) -> None:
            super().__init__()
            self.multiply, self.bias = multiply, bias
            self.in_features, self.out_features = inputs, outputs

        def forward(self, rows: Any) -> Any:
            out = self.multiply(rows.reshape(-1, self.in_features))
            out = out.view(*rows.shape[:-1], self.out_features)
            return out if self.bias is None else out + self.bias

    return LowBitLinear

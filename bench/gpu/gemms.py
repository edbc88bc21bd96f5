"""One layer's matrices in bf16 and FP8 by rows: from which batch on does quantization pay?

`torch._scaled_mm` is what FP8 linear layers of torchao and vLLM call; the input is quantized inside
the timed part, since a model pays for that too. On a CPU the product's own int8 takes its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.record.engines.clock import CudaClock
from costaudit.record.engines.engine import QuantizableEngine
from gpu.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from costaudit.record.engines.engine import LocalEngine

ROWS = (1, 4, 16, 32, 64, 128, 256, 512)
_REPEATS, _CALLS = 5, 20
_FP8_LARGEST = 448.0  # of float8_e4m3fn


def fp8_speedups(hidden: int, ffn: int) -> Iterator[Row]:
    """Seconds in bf16 over those in FP8 of a gated MLP's two matrices, by rows; a CUDA device."""
    import torch  # noqa: PLC0415 - told in a sentence where it is missing

    shapes = ((hidden, 2 * ffn), (ffn, hidden))
    weights = [torch.randn(o, i, device="cuda", dtype=torch.bfloat16) for i, o in shapes]
    scales = [weight.abs().amax().float() / _FP8_LARGEST for weight in weights]
    packed = [(w / s).to(torch.float8_e4m3fn) for w, s in zip(weights, scales, strict=True)]
    for rows in ROWS:
        inputs = [torch.randn(rows, i, device="cuda", dtype=torch.bfloat16) for i, _ in shapes]

        def plain(inputs: list[Any] = inputs) -> None:
            for given, weight in zip(inputs, weights, strict=True):
                torch.nn.functional.linear(given, weight)

        def quantized(inputs: list[Any] = inputs) -> None:
            for given, weight, scale in zip(inputs, packed, scales, strict=True):
                own = given.abs().amax().float() / _FP8_LARGEST
                small = (given / own).to(torch.float8_e4m3fn)
                torch._scaled_mm(  # noqa: SLF001 - torch offers no other door to it
                    small, weight.t(), scale_a=own, scale_b=scale, out_dtype=torch.bfloat16
                )

        ratio = _seconds(plain) / _seconds(quantized)
        yield Row(what=f"MLP in FP8 over bf16, {rows} rows", value=ratio, unit="x")


def int8_speedups(engine: LocalEngine) -> Iterator[Row]:
    """The same on a CPU, as a recording measures it."""
    if not isinstance(engine, QuantizableEngine):
        return
    for rows, ratio in engine.int8_speedups(ROWS).items():
        yield Row(what=f"linear layers in int8, {rows} rows", value=ratio, unit="x")


def _seconds(work: Callable[[], None]) -> float:
    clock = CudaClock("cuda")
    work()
    times = []
    for _ in range(_REPEATS):
        clock.wait()
        begun = clock.mark()
        for _ in range(_CALLS):
            work()
        times += clock.seconds(begun, clock.mark())
    return min(times)

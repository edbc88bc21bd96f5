"""What the device can do at best, measured on the spot by the same clock as the steps.

Arithmetic: a large square GEMM per number format. Memory: a large copy (bytes read plus written)
and a large matrix times a vector (bytes read), far beyond any cache; the better of the two is the
peak, because a CPU reads faster than it copies. Data are random, never zeros: zeros draw less
power and run faster. Best of several repetitions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from costaudit.record.engines.engine import Timing
from costaudit.recording.rows import Fact
from costaudit.target.target import Origin

Timer = Callable[[Callable[[], None]], Timing]

_GEMM_SIZE = {"cpu": 1024, "cuda": 8192}
_GEMMS_PER_PIECE = {"cpu": 1, "cuda": 8}  # a piece of tens of milliseconds on either
_COPY_BYTES = {"cpu": 256 << 20, "cuda": 2 << 30}
_ROW_ELEMENTS = 4096
_AT_LEAST, _AT_MOST = 4, 40  # repetitions
_SETTLED = 6  # repetitions without a new best
_NAMES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}  # in datasheets


def measure_peaks(
    timed: Timer, *, device: str, dtype: str, budget_s: float, free_bytes: int
) -> tuple[Fact, ...]:
    """Facts "device": FLOP/s by dtype, bytes/s copied and read, and the peaks for `dtype`.

    `device` is "cpu" or "cuda", `dtype` that of the weights. No buffer takes more than an eighth
    of `free_bytes`.
    """
    kind = device.partition(":")[0]
    dtypes = dict.fromkeys(
        ("float32", dtype) if kind == "cpu" else ("float32", "bfloat16", "float16")
    )
    dtypes.setdefault(dtype)
    share_s = budget_s / (len(dtypes) + 2)
    flops = {name: _gemm_flops(timed, device, name, share_s) for name in dtypes}
    copied, read = _bandwidths(timed, device, kind, share_s, free_bytes)
    return (
        *(_rate(f"peak_flops/{name}", value, "FLOP/s") for name, value in flops.items()),
        _rate("peak_flops", flops[dtype], "FLOP/s"),
        _rate("peak_copy_bytes_per_s", copied, "B/s"),
        _rate("peak_read_bytes_per_s", read, "B/s"),
        _rate("peak_bandwidth_bytes_per_s", max(copied, read), "B/s"),
    )


def datasheet_facts(device_name: str, *, kind: str, dtype: str) -> tuple[Fact, ...]:
    """Datasheet FLOP/s and bytes/s of a GPU; None with the reason where none is known."""
    from costaudit.facts.gpus import gpu_spec

    spec = gpu_spec(device_name) if kind == "cuda" else None
    if spec is None:
        why = (
            "a CPU has no datasheet rate for one thread"
            if kind == "cpu"
            else f"no datasheet is listed for {device_name!r}"
        )
        flops, bandwidth = None, None
    else:
        why = spec.source
        flops, bandwidth = spec.peak_flops.get(_NAMES.get(dtype, dtype)), spec.bandwidth_bytes_per_s
    return (
        _datasheet("datasheet_flops", flops, "FLOP/s", why),
        _datasheet("datasheet_bandwidth_bytes_per_s", bandwidth, "B/s", why),
    )


def _gemm_flops(timed: Timer, device: str, dtype: str, budget_s: float) -> float:
    import torch

    kind = device.partition(":")[0]
    size, pieces = _GEMM_SIZE[kind], _GEMMS_PER_PIECE[kind]
    left, right, out = (
        torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(3)
    )

    def multiply() -> None:
        for _ in range(pieces):
            torch.mm(left, right, out=out)

    return 2.0 * size**3 * pieces / _best_s(timed, multiply, budget_s)


def _bandwidths(
    timed: Timer, device: str, kind: str, budget_s: float, free_bytes: int
) -> tuple[float, float]:
    """Bytes per second (copied: read plus written; read by a matrix times a vector)."""
    import torch

    size = min(_COPY_BYTES[kind], free_bytes // 8)
    rows = max(1, size // (4 * _ROW_ELEMENTS))
    matrix = torch.randn(rows, _ROW_ELEMENTS, device=device)
    copy, vector = torch.empty_like(matrix), torch.randn(_ROW_ELEMENTS, device=device)
    held = matrix.numel() * matrix.element_size()
    copied = _best_s(timed, lambda: _ignore(copy.copy_(matrix)), budget_s)
    read = _best_s(timed, lambda: _ignore(torch.mv(matrix, vector)), budget_s)
    return 2.0 * held / copied, held / read


def _best_s(timed: Timer, work: Callable[[], None], budget_s: float) -> float:
    """Shortest of several repetitions, the first (cold) one left out."""
    until = time.monotonic() + budget_s
    work()
    times: list[float] = []
    while len(times) < _AT_MOST and not _settled(times):
        if len(times) >= _AT_LEAST and time.monotonic() > until:
            break
        times.append(timed(work).seconds)
    return min(times)


def _settled(times: Sequence[float]) -> bool:
    return len(times) > _SETTLED and times.index(min(times)) < len(times) - _SETTLED


def _ignore(_: Any) -> None:
    """Drop a result."""


def _rate(name: str, value: float, unit: str) -> Fact:
    return Fact(subject="device", name=name, value=value, unit=unit, origin=str(Origin.OBSERVED))


def _datasheet(name: str, value: float | None, unit: str, why: str) -> Fact:
    origin = Origin.UNKNOWN if value is None else Origin.DATASHEET
    return Fact(subject="device", name=name, value=value, unit=unit, origin=str(origin), why=why)

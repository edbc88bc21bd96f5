"""Which device and which number format a local model runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from costaudit.ground.errors import UsageError, did_you_mean

DTYPES = ("float32", "bfloat16", "float16")
# Instructions that multiply bfloat16; without them torch falls back to conversions, which made a
# GEMM 9 times and a GEMV 2.3 times slower than in float32 (measured on an AVX2 EPYC).
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # "bf16" is Arm's


def choose_device(device: str) -> Any:
    """The torch device of "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: unknown, or not on this machine.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "auto":
        return torch.device("cuda" if there else "cpu")
    kind, _, index = device.partition(":")
    if kind not in {"cpu", "cuda"} or (index and not (kind == "cuda" and index.isdigit())):
        raise UsageError(
            f"unknown device {device!r}", hint=did_you_mean(device, ("auto", "cpu", "cuda"))
        )
    if kind == "cuda" and (not there or int(index or 0) >= torch.cuda.device_count()):
        raise UsageError(
            f"device {device!r} is not on this machine, or torch cannot use it",
            hint="--device cpu works everywhere; `costaudit doctor` says what torch sees",
        )
    return torch.device(device)


def choose_dtype(dtype: str, device: Any, stored: str | None) -> tuple[str, str]:
    """(dtype, why): what was asked for, or for "auto" what runs fastest here.

    `stored` is the dtype of the checkpoint, kept on a GPU; on a CPU bfloat16 is taken only where
    the CPU multiplies it.

    Raises:
        UsageError: unknown dtype.
    """
    if dtype in DTYPES:
        return dtype, "given"
    if dtype != "auto":
        raise UsageError(f"unknown dtype {dtype!r}", hint=did_you_mean(dtype, ("auto", *DTYPES)))
    if device.type == "cuda":
        kept = stored in {"float16", "bfloat16"}
        return (str(stored), "as stored") if kept else ("bfloat16", "half the bytes of float32")
    if cpu_multiplies_bfloat16():
        return "bfloat16", "this CPU multiplies bfloat16"
    return "float32", "this CPU has no bfloat16 instructions"


def cpu_multiplies_bfloat16() -> bool:
    """Does the first CPU of this machine list such instructions? False where it cannot be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not _BF16_FLAGS.isdisjoint(flags.partition(":")[2].split())

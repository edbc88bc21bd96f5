"""A bill of several equal windows, or of a part of one, brought to one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.ground.stats import Interval

if TYPE_CHECKING:
    from costaudit.bill.slices import Bill, Slice


def scaled(bill: Bill, windows: float) -> Bill:
    """One of `windows` equal windows; what is per token stays as it is."""
    return replace(
        bill,
        gpu_s=bill.gpu_s / windows,
        slices=tuple(_scaled(part, windows) for part in bill.slices),
        prompt_tokens=round(bill.prompt_tokens / windows),
        output_tokens=round(bill.output_tokens / windows),
    )


def _scaled(part: Slice, windows: float) -> Slice:
    band = part.band_gpu_s
    return replace(
        part,
        gpu_s=None if part.gpu_s is None else part.gpu_s / windows,
        band_gpu_s=band and Interval(low=band.low / windows, high=band.high / windows),
    )

"""The document's sections on money: the bill and the prices behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.ground.stats import Interval

if TYPE_CHECKING:
    from costaudit.bill.slices import Bill, Slice

TOKENS_PER_M = 1e6
SECONDS_PER_H = 3600.0


def bill_section(bill: Bill, *, paid: Interval, why: str) -> dict[str, Any]:
    """The bill; `why` says why dollars are absent, where they are.

    `paid` are the device-seconds of the window that it bills, with their interval.
    """
    per_1m = TOKENS_PER_M / (bill.prompt_tokens + bill.output_tokens)
    between = Interval(low=paid.low * per_1m, high=paid.high * per_1m)
    unexplained = next(s for s in bill.slices if s.id == "unexplained")
    return {
        "usd_per_gpu_h": bill.usd_per_gpu_h,
        "usd_per_1m_tokens": bill.usd_per_1m_whole,
        "usd_per_1m_tokens_interval": interval_section(bill.usd_per_1m_tokens),
        "usd_per_1m_input": bill.usd_per_1m_input,
        "usd_per_1m_output": bill.usd_per_1m_output,
        "gpu_s": bill.gpu_s,
        "gpu_s_per_1m_tokens": bill.gpu_s_per_1m_tokens,
        "gpu_s_per_1m_tokens_interval": interval_section(between),
        "prompt_tokens": bill.prompt_tokens,
        "output_tokens": bill.output_tokens,
        "slices": [slice_section(s, bill) for s in bill.slices],
        "unexplained_share": _share(unexplained, bill),
    } | ({"why": why} if why else {})


def interval_section(interval: Interval | None) -> dict[str, float] | None:
    """An interval, or null."""
    return {"low": interval.low, "high": interval.high} if interval else None


def slice_section(part: Slice, bill: Bill) -> dict[str, Any]:
    """One slice of the bill, in device-seconds, share and dollars per 1M tokens."""
    share = _share(part, bill)
    per_1m = None
    if part.gpu_s is not None and bill.usd_per_gpu_h is not None:
        tokens = bill.prompt_tokens + bill.output_tokens
        per_1m = part.gpu_s / SECONDS_PER_H * bill.usd_per_gpu_h * TOKENS_PER_M / tokens
    section: dict[str, Any] = {
        "id": str(part.id),
        "gpu_s": part.gpu_s,
        "share": share,
        "usd_per_1m": per_1m,
        "source": part.source,
    }
    if part.band_gpu_s is not None:
        section["band"] = {"low_s": part.band_gpu_s.low, "high_s": part.band_gpu_s.high}
    if part.why:
        section["why"] = part.why
    if part.inside is not None:
        section["inside"] = str(part.inside)
    return section


def _share(part: Slice, bill: Bill) -> float | None:
    return None if part.gpu_s is None else part.gpu_s / bill.gpu_s

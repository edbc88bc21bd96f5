"""The best counter of DRAM traffic that works on this GPU: T1 GPM, then T1' DCGM, else none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costaudit.record.meters.dcgm import LONGEST_SPAN_S, DcgmMeter
from costaudit.record.meters.dcgm import TIER as DCGM_TIER
from costaudit.record.meters.gpm import MIN_SPAN_S, Gpm
from costaudit.record.meters.gpm import TIER as GPM_TIER
from costaudit.record.meters.span_reading import BRIEFEST_SPAN_S
from costaudit.recording.rows import State

ANALYTIC_TIER = "T2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The near end of a span: seconds of the clock, and GPM's snapshot if there is one."""

    at_s: float
    snapshot: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Mean share of the theoretical bandwidth, 0 to 1, with its tier.

    `share` is None, the tier "T2", where no counter could tell; `why` says why no better one could.
    `sm_share` and `tensor_share` come from GPM alone.
    """

    share: float | None
    tier: str
    sm_share: float | None = None
    tensor_share: float | None = None
    why: str = ""


class DramCounters:
    """GPM and DCGM of one device, asked in this order. No call raises for the device."""

    def __init__(self, gpm: Gpm, dcgm: DcgmMeter) -> None:
        self._gpm = gpm
        self._dcgm = dcgm
        self._gpm_is_blind = False  # it works, but this device's DRAM metric does not

    def begin(self, now_s: float) -> Begun:
        """Open a span; hand the result to `end`."""
        return Begun(at_s=now_s, snapshot=self._gpm.begin())

    def enough(self, begun: Begun, now_s: float) -> bool:
        """Whether the span is long enough for the counter that will speak for it."""
        seconds = now_s - begun.at_s
        if seconds < BRIEFEST_SPAN_S:
            return False
        by_gpm = begun.snapshot is not None and not self._gpm_is_blind
        if by_gpm or self._dcgm.state.state is not State.OK or seconds >= LONGEST_SPAN_S:
            return True
        return self._dcgm.between(begun.at_s, now_s).dram_share is not None

    def end(self, begun: Begun, now_s: float) -> Traffic:
        """The traffic of the span that ends now."""
        seconds = now_s - begun.at_s
        gpm = self._gpm.end(begun.snapshot, seconds)
        share, tier, why = gpm.dram_share, GPM_TIER, gpm.why
        if share is None:
            works = self._gpm.state.state is State.OK
            self._gpm_is_blind = self._gpm_is_blind or (works and seconds >= MIN_SPAN_S)
            dcgm = self._dcgm.between(begun.at_s, now_s)
            share = dcgm.dram_share
            tier = ANALYTIC_TIER if share is None else DCGM_TIER
            why = "; ".join(part for part in (gpm.why, dcgm.why) if part)
        return Traffic(
            share=share, tier=tier, sm_share=gpm.sm_share, tensor_share=gpm.tensor_share, why=why
        )

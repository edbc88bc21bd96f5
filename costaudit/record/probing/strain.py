"""Watches the server's own metrics while a rung presses on its KV cache: do blocks run out?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.record.probing.probing import Probing

USAGE, WAITING, PREEMPTIONS = "kv.usage_fraction", "requests.waiting", "preemptions_total"
FULL_SHARE = 0.95  # in use while requests wait: they wait for blocks
ENOUGH_S = 4.0  # of a server that preempts: a few scrapes of it, and no more harm than that


@dataclass(slots=True, kw_only=True)
class Strain:
    """One rung. Blocks ran out where requests were preempted, or waited while no prompt would fit.

    The gauges swing between two scrapes, so their highest values count, never their means.
    """

    level: Callable[[str], float | None]
    preemptions_before: float
    fits_share: float  # of the blocks that may be in use while the longest prompt still fits
    usage_peak: float = 0.0
    preempted: float = 0.0
    waited: bool = False
    since_s: float | None = None

    @classmethod
    def of(cls, probing: Probing, *, streams: int, longest_prompt: int) -> Self:
        """For a rung that begins now."""
        total = probing.kv_tokens
        fits = 1 - longest_prompt / total if total else FULL_SHARE
        return cls(
            level=probing.level,
            preemptions_before=probing.level(PREEMPTIONS) or 0.0,
            fits_share=fits if streams > 1 else 1.0,
        )

    @property
    def full(self) -> bool:
        """Blocks ran out."""
        return self.preempted > 0 or self.waited

    def stop(self) -> str:
        """A sentence a little after blocks ran out."""
        usage = self.level(USAGE) or 0.0
        self.usage_peak = max(self.usage_peak, usage)
        self.preempted = (self.level(PREEMPTIONS) or 0.0) - self.preemptions_before
        self.waited |= bool(self.level(WAITING)) and usage > self.fits_share
        if not self.full:
            return ""
        now_s = time.monotonic()
        self.since_s = self.since_s or now_s
        return "blocks ran out" if now_s - self.since_s > ENOUGH_S else ""

    def seen(self) -> dict[str, Any]:
        """For the recording."""
        self.stop()
        return {"full": self.full, "preempted": self.preempted, "waited": self.waited}

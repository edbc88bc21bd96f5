"""What is known at one moment of a watched server: everything that is shown or exported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.diagnosis.diagnosis import Diagnosis
    from costaudit.watch.drift import Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a time (Unix seconds)."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One moment.

    Attributes:
        url, at_s: which server, Unix seconds.
        diagnosis: of the sliding window; None before there are two readings in it.
        lost: why the last reading failed; "" it did not.
        device_s_per_1m: device-seconds per million tokens in the window; None: no tokens.
        usd_per_1m: the same in dollars; None without a price.
        slices: shares of the window's device seconds.
        costs: of the blocks so far, oldest first, in `unit`; None where there were no tokens.
        level: what the cost of a block is held against; drift: the last one.
        drifts: how many so far, by "up" and "down".
        scrapes, failures: readings so far, those that failed included.
        events: the latest last.
    """

    url: str
    at_s: float
    diagnosis: Diagnosis | None = None
    lost: str = ""
    device_s_per_1m: float | None = None
    usd_per_1m: float | None = None
    slices: Mapping[str, float] = field(default_factory=dict)
    costs: tuple[float | None, ...] = ()
    unit: str = "device-s"
    level: float | None = None
    drift: Drift | None = None
    drifts: Mapping[str, int] = field(default_factory=dict)
    scrapes: int = 0
    failures: int = 0
    events: tuple[Event, ...] = ()

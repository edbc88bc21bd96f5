"""From the address of a Prometheus to a diagnosed fleet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.diagnosis.fleet import fleet_of
from costaudit.record.history.asks import Span
from costaudit.record.history.headers import headers_from_environment
from costaudit.record.history.prometheus import open_prometheus
from costaudit.record.history.read import read_past
from costaudit.record.history.selector import matchers_of, seconds_of
from costaudit.record.servers.found import Given

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.diagnosis.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAsked:
    """Whose past, and what is known beside it.

    `devices` are those of each replica, where the user says it; `at_s` is the end of the window in
    Unix seconds, None: now.
    """

    url: str
    window: str = "6h"
    selector: str | None = None
    at_s: float | None = None
    usd_per_device_h: float | None = None
    devices: int | None = None
    given: Given = field(default_factory=Given)
    verify_tls: bool = True


def diagnose_past(asked: PastAsked, *, progress: Callable[[str], None] = lambda _: None) -> Fleet:
    """Every replica that a Prometheus knows in the window.

    Raises:
        TargetError: it does not answer, refuses us, or knows no LLM server.
        UsageError: the address, the window or the selector is none.
    """
    span = Span(seconds=seconds_of(asked.window), matchers=matchers_of(asked.selector))
    prometheus = open_prometheus(asked.url, headers_from_environment(), verify_tls=asked.verify_tls)
    past = read_past(prometheus, span, at_s=asked.at_s, progress=progress)
    return fleet_of(
        past,
        usd_per_device_h=asked.usd_per_device_h,
        devices=asked.devices,
        given=asked.given,
    )

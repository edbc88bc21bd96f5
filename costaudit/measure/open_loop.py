"""Latencies of an open loop, from when each request was meant to start, none left out.

A request that was cut off when the time was over, or was due and never sent, had waited until then
at least: it counts with that time, as a lower bound. Leaving it out would flatter a server that
stalls at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.ground.stats import percentile
from costaudit.measure.latency import SHARES, enough
from costaudit.measure.served import gaps_s
from costaudit.recording.answers import event_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer

OPEN = "open loop"
_CUT = "cut off"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoop:
    """An open loop as it went; percentiles by name ("p50", …), those with enough samples.

    Attributes:
        about: arrivals, rate or trace and its scales, as asked for.
        due, sent, failed: requests.
        unfinished: cut off or never sent; they count as having waited until the end, at least.
        offered_per_s, served_per_s: requests due, and ended well, per second of the window.
        slo_met_share: of all that were due, those within the workload's bounds; None: it has none.
        client_why: why the client may have been the bottleneck; "" it was not.
    """

    about: Mapping[str, Any]
    due: int
    sent: int
    failed: int
    unfinished: int
    offered_per_s: float
    served_per_s: float
    ttft_s: Mapping[str, float]
    itl_s: Mapping[str, float]
    e2e_s: Mapping[str, float]
    slo_met_share: float | None
    client_why: str


@dataclass(frozen=True, slots=True)
class _Wait:
    """Of one request: seconds to the first token and to the end, and its longest gap's bound."""

    ttft_s: float
    e2e_s: float
    gaps_s: Sequence[float]
    ended: bool


def open_loop(recording: Recording) -> OpenLoop | None:
    """What the open loop showed; None where none was asked for, or it was not reached."""
    facts = recording.facts()
    told, about = facts.get(OPEN, {}), facts.get("rung", {}).get(OPEN)
    asked, due = told.get("about"), told.get("due_s")
    if about is None or asked is None or due is None:
        return None
    if not (isinstance(about.value, dict) and isinstance(asked.value, dict)):
        return None
    starts = [float(one) for one in due.value] if isinstance(due.value, list) else []
    answers = {answer.number: answer for answer in recording.answers(OPEN)}
    end_s, window_s = float(about.value["wall_s"]), float(asked.value["window_s"])
    failed = {n for n, a in answers.items() if not a.ok and not a.error.startswith(_CUT)}
    waits = [
        _wait(answers.get(number), start_s, end_s)
        for number, start_s in enumerate(starts)
        if number not in failed and start_s < end_s
    ]
    health = about.value.get("health") or {}
    ended = sum(wait.ended for wait in waits)
    return OpenLoop(
        about=asked.value,
        due=len(waits) + len(failed),
        sent=len(answers),
        failed=len(failed),
        unfinished=len(waits) - ended,
        offered_per_s=len(starts) / window_s,
        served_per_s=ended / end_s if end_s > 0 else 0.0,
        ttft_s=_percentiles([wait.ttft_s for wait in waits]),
        itl_s=_percentiles([gap for wait in waits for gap in wait.gaps_s]),
        e2e_s=_percentiles([wait.e2e_s for wait in waits]),
        slo_met_share=_within(waits, len(failed), facts.get("workload", {}).get("slo")),
        client_why=str(health.get("why", "")) if health.get("bottleneck") else "",
    )


def _wait(answer: Answer | None, start_s: float, end_s: float) -> _Wait:
    if answer is None:
        return _Wait(end_s - start_s, end_s - start_s, (), ended=False)
    came_s = event_s(answer)
    last_s = answer.end_s if answer.ok else max(answer.end_s, end_s)
    first_s = came_s[0] if came_s else last_s
    gaps = gaps_s(answer)
    if not answer.ok and came_s:
        gaps.append(max(0.0, last_s - came_s[-1]))
    return _Wait(first_s - start_s, last_s - start_s, gaps, ended=answer.ok)


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {
        f"p{share * 100:.0f}": percentile(values, share)
        for share in SHARES
        if enough(len(values), share)
    }


def _within(waits: Sequence[_Wait], failed: int, slo: Any) -> float | None:
    """Ended, first token in time, and the mean gap within the bound; failures are not within."""
    bounds = slo.value if slo is not None and isinstance(slo.value, dict) else {}
    if not bounds or not waits:
        return None
    ttft_s, itl_s = bounds.get("ttft_s"), bounds.get("itl_s")
    good = 0
    for wait in waits:
        mean_gap = sum(wait.gaps_s) / len(wait.gaps_s) if wait.gaps_s else 0.0
        in_time = ttft_s is None or wait.ttft_s <= ttft_s
        good += wait.ended and in_time and (itl_s is None or mean_gap <= itl_s)
    return good / (len(waits) + failed)

"""Judges a build against its baseline: counters to the token, times by their bound and a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.contrast.change import (
    ALPHA,
    Change,
    chance,
    from_pairs,
    high,
    holm,
    low,
    noise,
    smallest_seen,
)
from costaudit.contrast.comparable import differences
from costaudit.contrast.counters import COUNTERS
from costaudit.contrast.sides import PRIMARY, TIMINGS, change_between
from costaudit.gate.percent import percent
from costaudit.gate.verdict import Result
from costaudit.ground.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.contrast.observation import Observation
    from costaudit.gate.budget import Margin

SAME = 1e-9  # two counts this close, as a share, are one count written differently


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What became of one relative line.

    Attributes:
        margin: the line.
        change: of a timing, with its doubts; None of a counter, or where one cannot tell.
        alpha: the level that the timing was judged at.
        seen: the smallest true change that would be seen, as a share; None where none would.
        before, after: of a counter, mean of each side; None where one cannot tell.
        why: in words; "" where the numbers say it.
        note: what else the reader should know of this line.
        better: the build beats its baseline by more than the margin, so that the baseline is slack.
    """

    margin: Margin
    result: Result
    change: Change | None = None
    alpha: float = ALPHA
    seen: float | None = None
    before: float | None = None
    after: float | None = None
    why: str = ""
    note: str = ""
    better: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where the two sides' values come from: recordings, or turns in one process.

    `counters` holds each side's value per observation; `blocked` says why no time can be compared.
    """

    change: Callable[[str], Change | None]
    before: Mapping[str, Sequence[float]]
    after: Mapping[str, Sequence[float]]
    blocked: str = ""
    why_silent: Mapping[str, str] = field(default_factory=dict)


def of_recordings(base: Sequence[Observation], new: Sequence[Observation]) -> Evidence:
    """Evidence from recordings taken apart from each other."""
    return Evidence(
        change=lambda metric: change_between(base, new, metric),
        before=_counted(base),
        after=_counted(new),
        blocked="; ".join(differences(base, new)),
    )


def of_pairs(
    logs: Mapping[str, Sequence[float]],
    *,
    before: Mapping[str, Sequence[float]],
    after: Mapping[str, Sequence[float]],
) -> Evidence:
    """Evidence from paired rounds: ln(new / base) of each, by metric."""
    known = {m: rows for m, rows in logs.items() if rows and not any(map(math.isnan, rows))}
    return Evidence(
        change=lambda metric: from_pairs(known[metric]) if metric in known else None,
        before=before,
        after=after,
    )


def judge_margins(evidence: Evidence, margins: Sequence[Margin]) -> tuple[Shift, ...]:
    """One verdict per relative line, in the order of the budget.

    The primary metric is judged alone; other timings share one level of false alarms (Holm), or a
    budget of many lines would break by chance alone.

    Raises:
        UsageError: a metric that no margin can be set on.
    """
    for margin in margins:
        _known(margin.metric)
    changes = {m.metric: evidence.change(m.metric) for m in margins if m.metric in TIMINGS}
    others = [c for m, c in changes.items() if m not in PRIMARY and c is not None]
    levels = dict(zip(map(id, others), holm([chance(c) for c in others]), strict=True))
    return tuple(
        _timing(evidence, margin, changes[margin.metric], levels)
        if margin.metric in TIMINGS
        else _counter(evidence, margin)
        for margin in margins
    )


def _known(metric: str) -> None:
    if metric in TIMINGS or metric in COUNTERS:
        return
    raise UsageError(
        f"no margin can be set on {metric!r}: nobody knows how it spreads between like runs",
        hint=did_you_mean(metric, [*TIMINGS, *COUNTERS]),
    )


def _timing(
    evidence: Evidence, margin: Margin, change: Change | None, levels: Mapping[int, float]
) -> Shift:
    """Broken beyond both bound and margin, passed only where the bound is within the margin."""
    open_line = Shift(margin=margin, result=Result.INCONCLUSIVE, change=change)
    if evidence.blocked:
        return replace(open_line, why=evidence.blocked)
    if change is None:
        return replace(open_line, why="it was not recorded on both sides")
    alpha = levels.get(id(change), ALPHA)
    judged = replace(open_line, alpha=alpha, seen=smallest_seen(change, margin.margin, alpha))
    if low(change, alpha) > 0 and change.share > margin.margin:
        return replace(judged, result=Result.BROKEN)
    if high(change, alpha) <= margin.margin:
        better = high(change, alpha) < 0 and change.share < -margin.margin
        return replace(judged, result=Result.PASSED, better=better)
    return replace(judged, why=_undecided(change, alpha, margin))


def _undecided(change: Change, alpha: float, margin: Margin) -> str:
    blur = noise(change, alpha)
    if blur <= margin.margin:
        return "it is neither surely within the margin nor surely worse by more"
    told = f"the noise is above the margin: ±{percent(blur)} beside {percent(margin.margin)}"
    if math.expm1(max(change.shown, change.hidden)) > blur / 2:
        told += "; others slowed this machine down meanwhile: record on a quieter one"
    return told


def _counter(evidence: Evidence, margin: Margin) -> Shift:
    open_line = Shift(margin=margin, result=Result.INCONCLUSIVE)
    before = evidence.before.get(margin.metric)
    after = evidence.after.get(margin.metric)
    if not before or not after:
        side = "the baseline" if not before else "this build"
        return replace(open_line, why=f"it was not recorded of {side}")
    old, new = sum(before) / len(before), sum(after) / len(after)
    off = abs(new - old) > max(margin.margin, SAME) * abs(old)
    return replace(
        open_line,
        result=Result.BROKEN if off else Result.PASSED,
        before=old,
        after=new,
        note=_repeats([*before], [*after], margin),
    )


def _repeats(before: list[float], after: list[float], margin: Margin) -> str:
    """A counter that differs within one side is none."""
    for side in (before, after):
        if max(side) - min(side) > max(margin.margin, SAME) * abs(max(side)):
            return f"it does not repeat: {min(side):g} to {max(side):g} on one side"
    return ""


def _counted(side: Sequence[Observation]) -> dict[str, list[float]]:
    """Values by metric, of those that every observation of the side has."""
    return {
        name: [o.counters[name] for o in side]
        for name in COUNTERS
        if all(name in o.counters for o in side)
    }

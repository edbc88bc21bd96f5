"""From what was asked to the decision: which evidence there is, and every line judged by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.contrast.comparable import software_changes
from costaudit.contrast.observe import observe
from costaudit.contrast.read import observations
from costaudit.contrast.split import split
from costaudit.contrast.stored import baseline_text, is_baseline
from costaudit.gate.decision import Decision
from costaudit.gate.own_figures import OWN_NAMES, with_own_figures
from costaudit.gate.shift import judge_margins, of_recordings
from costaudit.gate.turns import judge_turns
from costaudit.gate.verdict import judge
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from costaudit.gate.budget import Budget
    from costaudit.gate.verdict import Verdict
    from costaudit.record.options import Listener
    from costaudit.record.paired import PairedOptions

NO_BASELINE = "write one with `costaudit gate RUN --baseline FILE --update-baseline`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the gate is to judge, and by what.

    Attributes:
        runs: recordings of the build; several tell how it spreads.
        baseline: recordings, or files that `--update-baseline` wrote.
        budget: the lines.
        turns: two targets to be measured in turns; None: recordings decide.
        price: USD per device-hour for both sides; None: the price book.
        warn: inconclusive does not fail the build.
    """

    runs: tuple[Path, ...]
    baseline: tuple[Path, ...]
    budget: Budget
    turns: PairedOptions | None
    price: float | None
    warn: bool


def decide(
    asked: Asked, *, audit: Callable[[Path], Mapping[str, Any]], progress: Listener
) -> Decision:
    """Judge every line.

    `audit` makes the Audit document of a recording; it is only asked where a line needs it.

    Raises:
        UsageError: a line needs a recording or a baseline that was not given.
        CostauditError: a file is none, or, where both targets are run, one failed.
    """
    budget, notes = asked.budget, []
    if not asked.runs and asked.turns is None:
        raise UsageError("name a recording to judge, or two targets with --ab")
    if asked.turns is not None and not budget.margins:
        raise UsageError(
            f"{budget.path} has no line that --ab could judge",
            hint='write [[budget]] with metric = "usd_per_1m_tokens" and margin = 0.05',
        )
    if budget.limits and not asked.runs:
        notes.append(f"{len(budget.limits)} absolute lines were not judged: they need a recording")
    verdicts = _absolute(asked, audit) if asked.runs else ()
    if asked.turns is not None:
        shifts = judge_turns(asked.turns, budget.margins, progress=progress)
        return Decision(
            budget=budget.path,
            verdicts=verdicts,
            shifts=shifts,
            notes=tuple(notes),
            warn=asked.warn,
        )
    return _against_baseline(asked, verdicts, tuple(notes))


def update_baseline(
    runs: Sequence[Path], baseline: Sequence[Path], *, price: float | None
) -> tuple[Path, str]:
    """The file to write and its text, from recordings of a build that is good.

    Raises:
        UsageError: no recording, not exactly one file, or the file is something else.
    """
    if not runs or len(baseline) != 1:
        raise UsageError(
            "--update-baseline takes recordings and one --baseline FILE to write",
            hint="costaudit gate RUN --baseline .ci/baseline.json --update-baseline",
        )
    (path,) = baseline
    if path.exists() and not is_baseline(path):
        raise UsageError(f"{path} is no baseline file, so it is not replaced")
    return path, baseline_text([observe(run, usd_per_device_h=price) for run in runs])


def _absolute(asked: Asked, audit: Callable[[Path], Mapping[str, Any]]) -> tuple[Verdict, ...]:
    """Of the last recording: the build as it stands."""
    limits, run = asked.budget.limits, asked.runs[-1]
    if not limits:
        return ()
    document = audit(run)
    if any(limit.metric in OWN_NAMES for limit in limits):
        document = with_own_figures(document, asked.budget, run)
    return judge(document, limits)


def _against_baseline(
    asked: Asked, verdicts: tuple[Verdict, ...], notes: tuple[str, ...]
) -> Decision:
    budget = asked.budget
    if not asked.baseline:
        if budget.margins:
            raise UsageError(
                f"{len(budget.margins)} lines of {budget.path} need a --baseline", hint=NO_BASELINE
            )
        return Decision(budget=budget.path, verdicts=verdicts, notes=notes, warn=asked.warn)
    base = observations(asked.baseline, price=asked.price)
    new = observations(asked.runs, price=asked.price)
    changes = tuple(f"changed since the baseline: {c}" for c in software_changes(base, new))
    return Decision(
        budget=budget.path,
        verdicts=verdicts,
        shifts=judge_margins(of_recordings(base, new), budget.margins),
        split=split(base, new),
        notes=(*notes, *changes),
        warn=asked.warn,
    )

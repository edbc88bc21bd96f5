"""One prediction tried: predicted from the recording, measured after the change, kept beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from costaudit.audit.situation import AuditOptions, read_situation
from costaudit.audit.verified_section import run_section, target_digest
from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.plan.prediction import METRICS, predict
from costaudit.playbook.load import load
from costaudit.recording.verified import SCHEMA, Verified, append, store_of
from costaudit.verify.local import measure_local
from costaudit.verify.served import measure_server
from costaudit.verify.verdict import figure_of
from costaudit.verify.visible import Seen, look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from costaudit.audit.situation import Judged
    from costaudit.plan.prediction import Prediction
    from costaudit.playbook.step import Step
    from costaudit.record.options import Listener
    from costaudit.verify.measured import Measured

DRAWS = 8  # of the step times, as many as behind the plan's intervals
SERVERS = ("http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """Which prediction, of which recording, and where it was made true.

    Attributes:
        run: the recording from before the change.
        steps: ids, made together.
        target: the changed target; of a model in this process the model to change.
        baseline: the unchanged target, to take turns with; None: of a model in this process that
            of the recording, of a server the recording itself.
        rounds: pairs of turns.
        seconds: of all rounds, loading not counted.
    """

    run: Path
    steps: tuple[str, ...]
    target: str
    baseline: str | None = None
    rounds: int = 4
    seconds: float = 240.0


def verify(options: VerifyOptions, *, progress: Listener) -> Verified:
    """Predict, measure, judge, and keep the pair beside the recording.

    Raises:
        UsageError: an option is wrong, or the steps cannot be tried on a target.
        InconclusiveError: the recording holds too little to predict from.
        TargetError: a target cannot be reached, or failed.
    """
    steps = steps_of(options.steps)
    judged = read_situation(options.run, AuditOptions())
    served = judged.situation.metrics.target.kind == "server"
    _check(options, steps, judged, served=served)
    if served:
        measured = measure_server(
            options.run,
            steps,
            target=options.target,
            baseline=options.baseline,
            rounds=options.rounds,
            seconds=options.seconds,
            progress=progress,
        )
    else:
        measured = measure_local(
            options.run,
            options.steps,
            target=options.target,
            baseline=options.baseline,
            rounds=options.rounds,
            seconds=options.seconds,
            progress=progress,
        )
    verified = judge(options, judged, steps, measured)
    append(store_of(options.run), verified)
    return verified


def as_json_of(verified: Verified) -> dict[str, Any]:
    """The verification for a machine: as it stands in the Audit document, with its schema."""
    return {"schema": SCHEMA, **run_section(verified)}


def steps_of(ids: Sequence[str]) -> tuple[Step, ...]:
    """The steps of these ids.

    Raises:
        UsageError: none is named, there is no such step, or one excludes another.
    """
    known = {entry.step.id: entry.step for entry in load()}
    if not ids:
        raise UsageError("no step is named", hint="--step ID; `costaudit steps` lists them")
    for step_id in ids:
        if step_id not in known:
            hint = did_you_mean(step_id, known)
            raise UsageError(f"there is no step {step_id!r}", hint=hint)
    steps = tuple(known[step_id] for step_id in dict.fromkeys(ids))
    for step in steps:
        if other := next((o for o in steps if o.id in step.excludes), None):
            raise UsageError(f"{step.id} excludes {other.id}: they cannot be made together")
    return steps


def judge(
    options: VerifyOptions, judged: Judged, steps: Sequence[Step], measured: Measured
) -> Verified:
    """What was measured held against the prediction."""
    situation = judged.situation
    planned = predict(steps, situation.scenario, draws=DRAWS)
    seen = Seen(set_to={})
    if measured.after is not None:
        seen = look(situation.metrics, measured.after, situation.scenario, planned.after)
    prediction = planned
    if seen.set_to:
        prediction = predict(steps, situation.scenario, draws=DRAWS, as_set=seen.as_set)
    return Verified(
        target=target_digest(situation.metrics),
        recording=options.run.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=tuple(step.id for step in steps),
        how=measured.how,
        notes=(*measured.notes, *seen.notes, *_doubts(judged)),
        figures=tuple(
            figure_of(
                metric,
                prediction.ratios[metric],
                measured.changes.get(metric),
                why_not=_why_not(metric, prediction, seen, measured),
            )
            for metric in METRICS
            if metric in prediction.ratios
        ),
    )


def _why_not(metric: str, prediction: Prediction, seen: Seen, measured: Measured) -> str:
    if prediction.after.traffic != prediction.before.traffic:
        return "the step changes the traffic, and the same traffic was sent to both sides"
    if seen.unchanged:
        return (
            f"the change is not visible: {', '.join(seen.unchanged)} is exported and still has"
            " its old value"
        )
    return measured.refused or measured.absent.get(metric, "")


def _doubts(judged: Judged) -> tuple[str, ...]:
    return (f"the recording claims no dollars: {judged.refused}",) if judged.refused else ()


def _check(options: VerifyOptions, steps: Sequence[Step], judged: Judged, *, served: bool) -> None:
    named = [options.target, *([options.baseline] if options.baseline else [])]
    if any(name.startswith(SERVERS) != served for name in named):
        kind = "a server" if served else "a model in this process"
        raise UsageError(
            f"{options.run} was recorded of {kind}; --target and --baseline-target must be one too"
        )
    if not served:
        return
    changed = predict(steps, judged.situation.scenario, draws=0).after
    if changed == judged.situation.scenario:
        raise UsageError(
            f"{', '.join(options.steps)} would change nothing about this target",
            hint=f"costaudit report {options.run} says which steps apply",
        )

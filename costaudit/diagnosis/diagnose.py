"""A window → a diagnosis: every symptom is asked, those that show are ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from costaudit.diagnosis import signs
from costaudit.diagnosis.diagnosis import Diagnosis, Finding, Fix, State
from costaudit.diagnosis.facts import facts_of
from costaudit.diagnosis.load import load
from costaudit.diagnosis.symptom import CannotTell, Confidence, DoesNotShow, Shows, Symptom
from costaudit.facts.server_flags import server_flag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costaudit.diagnosis.diagnosis import Price
    from costaudit.measure.window import Window

_RESTARTED = "the server was restarted in the window"


def diagnose(
    window: Window, price: Price | None = None, *, symptoms: Iterable[Symptom] | None = None
) -> Diagnosis:
    """What the window shows, by all symptoms or by these. Pure; never raises on any window."""
    findings, absent, unclear = [], {}, {}
    for symptom in load() if symptoms is None else symptoms:
        if symptom.engines and window.engine not in symptom.engines:
            continue
        match symptom.judge(window):
            case Shows() as shown:
                findings.append(_finding(symptom, shown, window))
            case DoesNotShow(why=why):
                absent[symptom.id] = why
            case CannotTell(because=because):
                unclear[symptom.id] = because
            case never:
                assert_never(never)
    findings.sort(key=lambda found: (not found.urgent, -found.cost_share, found.id))
    sure = tuple(f for f in findings if f.confidence is not Confidence.POSSIBLE)
    possible = tuple(f for f in findings if f.confidence is Confidence.POSSIBLE)
    state = _state(window, sure)
    return Diagnosis(
        window=window,
        state=state,
        summary=_summary(window, state, sure),
        findings=sure,
        possible=possible,
        absent=absent,
        cannot_tell=unclear,
        facts=facts_of(window, price),
        price=price,
    )


def _finding(symptom: Symptom, shown: Shows, window: Window) -> Finding:
    actions = shown.actions or symptom.actions
    flags = (server_flag(window.engine, name, version=window.version) for name in actions)
    return Finding(
        id=symptom.id,
        title=symptom.title,
        cause=shown.cause or symptom.cause,
        confidence=shown.confidence,
        cost_share=shown.cost_share,
        urgent=symptom.urgent,
        evidence=shown.evidence,
        fixes=tuple(
            Fix(action=flag.action, flag=flag.flag, verify=flag.verify)
            for flag in flags
            if flag is not None
        ),
        advice=symptom.advice,
        steps=symptom.steps,
    )


def _state(window: Window, findings: tuple[Finding, ...]) -> State:
    if findings:
        return State.TROUBLED
    match signs.worked(window):
        case None:
            return State.UNKNOWN
        case True:
            return State.HEALTHY
        case False:
            return State.IDLE


def _summary(window: Window, state: State, findings: tuple[Finding, ...]) -> str:
    match state:
        case State.TROUBLED:
            return findings[0].cause
        case State.HEALTHY:
            return "it works, and nothing that its metrics can show is wrong"
        case State.IDLE:
            return "no request was in it during the window"
        case State.UNKNOWN:
            if window.restarts:
                return _RESTARTED
            return "its metrics do not say whether it works"
        case never:
            assert_never(never)

"""A window → a diagnosis: every symptom is asked, those that show are ranked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

from costaudit.diagnosis import queueing, signs
from costaudit.diagnosis.diagnosis import Diagnosis, Finding, State
from costaudit.diagnosis.facts import facts_of
from costaudit.diagnosis.fixes import fixes
from costaudit.diagnosis.load import load
from costaudit.diagnosis.symptom import CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costaudit.diagnosis.diagnosis import Price
    from costaudit.measure.window import Window

SUSPECT = 0.2  # of requests' time or the server's capacity; what may cost less is worth a look


def diagnose(
    window: Window, price: Price | None = None, *, symptoms: Iterable[Symptom] | None = None
) -> Diagnosis:
    """What the window shows, by all symptoms or by these. Pure; never raises on any window."""
    findings, absent, unclear = [], {}, {}
    for symptom in load() if symptoms is None else symptoms:
        if not _concerns(symptom, window.engine):
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
    findings.sort(key=_rank)
    told = _told(findings)
    state = _state(window, told)
    return Diagnosis(
        window=window,
        state=state,
        summary=_summary(window, state, told, len(unclear)),
        findings=told,
        possible=tuple(found for found in findings if found not in told),
        absent=absent,
        cannot_tell=unclear,
        facts=facts_of(window, price),
        price=price,
    )


def _unclear(found: Finding) -> bool:
    return found.confidence is Confidence.POSSIBLE


def _told(findings: list[Finding]) -> tuple[Finding, ...]:
    """Without a surer fault also what is only possible, where much would be lost to it."""
    troubled = any(found.fault and not _unclear(found) for found in findings)
    least = math.inf if troubled else SUSPECT
    return tuple(one for one in findings if not _unclear(one) or one.cost_share >= least)


def _rank(found: Finding) -> tuple[bool, bool, bool, float, str]:
    return not found.urgent, not found.fault, _unclear(found), -found.cost_share, found.id


def _concerns(symptom: Symptom, engine: str) -> bool:
    return engine not in symptom.not_for and (not symptom.engines or engine in symptom.engines)


def _finding(symptom: Symptom, shown: Shows, window: Window) -> Finding:
    return Finding(
        id=symptom.id,
        title=symptom.title,
        cause=shown.cause or symptom.cause,
        confidence=shown.confidence,
        cost_share=shown.cost_share,
        urgent=symptom.urgent,
        fault=symptom.fault,
        evidence=shown.evidence,
        fixes=fixes(window, shown.actions or symptom.actions),
        advice=symptom.advice,
        steps=symptom.steps,
    )


def _state(window: Window, findings: tuple[Finding, ...]) -> State:
    if any(found.fault and not _unclear(found) for found in findings):
        return State.TROUBLED
    if findings:
        return State.SUSPECT if any(found.fault for found in findings) else State.UNDERUSED
    match signs.worked(window):
        case None:
            return State.UNKNOWN
        case True:  # whether anybody waits is the least that must be seen of a healthy server
            return State.HEALTHY if queueing.queue(window) is not None else State.UNKNOWN
        case False:
            return State.IDLE


def _summary(window: Window, state: State, findings: tuple[Finding, ...], unclear: int) -> str:
    match state:
        case State.TROUBLED | State.UNDERUSED:
            return findings[0].cause
        case State.SUSPECT:
            return f"possible, and not to be decided by its metrics: {findings[0].cause}"
        case State.HEALTHY:
            return f"it works, and nothing that its metrics can show is wrong{_rest(unclear)}"
        case State.IDLE:
            return "no request was in it during the window"
        case State.UNKNOWN:
            if signs.worked(window):
                return "it works, but its metrics do not show enough to call it healthy"
            return "its metrics do not say whether it works"
        case never:
            assert_never(never)


def _rest(unclear: int) -> str:
    return f"; {unclear} symptoms cannot be told from them" if unclear else ""

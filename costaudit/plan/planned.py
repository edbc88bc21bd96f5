"""What becomes of each step of the playbook beside the order that was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from costaudit.plan.plan import PlannedStep, Saving, Stranded, Verdict
from costaudit.plan.saving import saving
from costaudit.playbook.latency import over_bound
from costaudit.playbook.step import Applies, CannotTell, DoesNotApply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.plan.bounds import Bounds
    from costaudit.plan.choice import Choice
    from costaudit.plan.pricer import Ids, Pricer
    from costaudit.playbook.step import Applicability, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """The choice of an order, the steps it was chosen from, and what chose it."""

    choice: Choice
    steps: Sequence[Step]
    pricer: Pricer
    bounds: Bounds
    term: str = ""  # of the commitment whose price is known

    @property
    def ids(self) -> tuple[str, ...]:
        """The best order."""
        return self.choice.best


def planned(step: Step, answer: Applicability, found: Searched) -> PlannedStep:
    """The verdict on a step, and what it saves where it can be made here."""
    match answer:
        case DoesNotApply(why=why):
            return _outside(step, Verdict.DOES_NOT_APPLY, why)
        case CannotTell(because=because):
            return _outside(step, Verdict.CANNOT_TELL, because)
        case Applies():
            return _priced(step, answer, found)
        case _:
            assert_never(answer)


def _priced(step: Step, answer: Applies, found: Searched) -> PlannedStep:
    before, after = alone(step, found.steps)
    standalone = saving(before, after, found.pricer)
    inside, place = step.id in found.ids, 0
    if inside:
        place = found.ids.index(step.id)
    ahead = frozenset(found.ids[:place])
    return PlannedStep(
        id=step.id,
        rank=place + 1 if inside else None,
        verdict=Verdict.APPLIES if inside else Verdict.DOES_NOT_APPLY,
        why_not="" if inside else _why_not(step, standalone, found),
        standalone=standalone,
        marginal=saving(ahead, ahead | {step.id}, found.pricer) if inside else None,
        evidence=answer.evidence,
        breaks=found.bounds.breaches(found.pricer.cautious(after), after=step.id),
        stranded=_stranded(after, found) if step.last else None,
    )


def _stranded(committed: Ids, found: Searched) -> Stranded | None:
    """Committing today against making the rest of the best order first; None where it is empty."""
    if not set(found.ids) - committed:
        return None
    return Stranded(
        commit_first=found.pricer.cautious(committed).cost,
        engineering_first=found.pricer.cautious(frozenset(found.ids)).cost,
        term=found.term,
    )


def _outside(step: Step, verdict: Verdict, why_not: str) -> PlannedStep:
    return PlannedStep(
        id=step.id,
        rank=None,
        verdict=verdict,
        why_not=why_not,
        standalone=None,
        marginal=None,
        evidence=(),
    )


def _why_not(step: Step, standalone: Saving, found: Searched) -> str:
    if why := _breaks_bound(step, found):
        return why
    for other in found.steps:
        if other.id in found.ids and (other.id in step.excludes or step.id in other.excludes):
            return f"does not pay here: {other.id} excludes it and saves more"
    best, pricer = frozenset(found.ids), found.pricer
    added = pricer.cautious(best).cost - pricer.cautious(best | {step.id}).cost
    harm = [
        where
        for share, where in ((standalone.share.low, "alone"), (added, "after the best order"))
        if share <= 0
    ]
    return (
        "does not pay here: at its cautious end it brings nothing or costs more, "
        + " and ".join(harm or ["once its effort is counted"])
    )


def _breaks_bound(step: Step, found: Searched) -> str:
    """Which bound of the SLO keeps a step out of the order; "" for none."""
    excluded = {o.id for o in found.steps if o.id in step.excludes or step.id in o.excludes}
    worth = found.pricer.cautious(frozenset(found.ids) - excluded | {step.id})
    worse = found.bounds.worsened(worth)
    if not worse:
        return ""
    said = (over_bound(b.what, b.seconds, b.bound_s) for b in worse)
    return "not offered: with it " + " and ".join(said)


def alone(step: Step, steps: Sequence[Step]) -> tuple[Ids, Ids]:
    """Before and after a step alone: what it requires is there on both sides."""
    by_id = {other.id: other for other in steps}
    needed: set[str] = set()
    todo = list(step.requires)
    while todo:
        other = todo.pop()
        if other in by_id and other not in needed:
            needed.add(other)
            todo += by_id[other].requires
    return frozenset(needed), frozenset(needed | {step.id})

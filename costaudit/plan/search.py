"""Searches the order of the steps and says what each of them saves, as intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval, percentile
from costaudit.plan.convention import CONVENTIONS, conventional
from costaudit.plan.lattice import best_order
from costaudit.plan.plan import Order, Plan, PlannedStep, Saving, Verdict
from costaudit.playbook.step import Applies, CannotTell, DoesNotApply, Edge, Evidence, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.playbook.step import Situation
    from costaudit.whatif.scenario import Scenario

FITTED = 0  # the place of the fitted step times; draws follow
QUANTILES = (0.05, 0.95)  # of the draws
EDGES = (Edge.LOW, Edge.HIGH)

Ids = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pricer:
    """Cost of a set of steps, memoised; `draws` counts the step times, the fitted one first."""

    cost: Callable[[Ids, Edge, int], float]
    draws: int
    error_share: float  # of the step times, on probes they were not fitted to

    def saved(self, before: Ids, after: Ids, edge: Edge, draw: int) -> float:
        """Share of the present bill that going from one set to the other saves."""
        whole = self.cost(frozenset(), edge, draw)
        return (self.cost(before, edge, draw) - self.cost(after, edge, draw)) / whole


def search(
    steps: Sequence[Step],
    situation: Situation,
    *,
    cost: Callable[[Scenario], float],
    unit: str,
    draws: int = 8,
) -> Plan:
    """Assess all steps, search the best order of those that apply, price everything.

    `cost` gives a scenario's cost per 1M tokens in `unit`; it is called about 2ⁿ times for n
    applicable steps, and 4·n·(draws + 1) times more for the intervals.

    Raises:
        InconclusiveError: the present cost is not a positive number.
    """
    pricer = _pricer(steps, situation.scenario, cost, draws)
    present = pricer.cost(frozenset(), Edge.LOW, FITTED)
    if not (math.isfinite(present) and present > 0):
        raise InconclusiveError(f"the present cost is {present}, so no saving can be told")
    answers = _answers(steps, situation, pricer)
    open_steps = [s for s in steps if isinstance(answers[s.id], Applies)]
    ids = best_order(open_steps, lambda taken: pricer.cost(taken, Edge.LOW, FITTED))
    ranked = {step_id: place for place, step_id in enumerate(ids)}
    planned = [_planned(s, answers[s.id], ids, open_steps, pricer) for s in steps]
    planned.sort(key=lambda p: (ranked.get(p.id, len(ids)), p.id))
    names = [(name, conventional(name, open_steps)) for name in CONVENTIONS]
    return Plan(
        unit=unit,
        present_cost=present,
        steps=tuple(planned),
        best=_order("best", ids, pricer),
        conventional=tuple(_order(name, order, pricer) for name, order in names),
        cumulative=tuple(
            _saving(frozenset(), frozenset(ids[: place + 1]), pricer) for place in range(len(ids))
        ),
    )


def _pricer(
    steps: Sequence[Step], scenario: Scenario, cost: Callable[[Scenario], float], draws: int
) -> _Pricer:
    fitted = scenario.step_time
    models = (fitted, *fitted.drawn()[:draws])
    memo: dict[tuple[Ids, Edge, int], float] = {}

    def changed(taken: Ids, edge: Edge, draw: int) -> Scenario:
        result = replace(scenario, step_time=models[draw])
        for step in steps:
            if step.id in taken:
                result = step.change(result, edge)
        return result

    def priced(taken: Ids, edge: Edge, draw: int) -> float:
        key = (taken, edge, draw)
        if key not in memo:
            wanted = changed(taken, edge, draw)
            if edge is Edge.HIGH and wanted == changed(taken, Edge.LOW, draw):
                memo[key] = priced(taken, Edge.LOW, draw)
            else:
                memo[key] = cost(wanted)
        return memo[key]

    error_share = fitted.error_p90_share or fitted.error_p50_share or 0.0
    return _Pricer(cost=priced, draws=len(models), error_share=error_share)


Answer = Applies | DoesNotApply | CannotTell


def _answers(steps: Sequence[Step], situation: Situation, pricer: _Pricer) -> Mapping[str, Answer]:
    """What each step says; one whose requirement is neither in place nor applies cannot stand."""
    answers: dict[str, Answer] = {step.id: step.assess(situation) for step in steps}
    by_id = {step.id: step for step in steps}
    for _ in steps:  # a requirement of a requirement may fall in a later round
        for step in steps:
            for needed in step.requires:
                blocked = _blocked(answers[step.id], answers.get(needed), by_id.get(needed))
                if blocked and by_id[needed].change(situation.scenario, Edge.LOW) != (
                    situation.scenario
                ):
                    answers[step.id] = blocked
    for step in steps:
        if isinstance(answers[step.id], Applies):
            try:
                _saving(*_alone(step, steps), pricer)
            except InconclusiveError as err:
                answers[step.id] = CannotTell(because=err.message)
    return answers


def _blocked(answer: Answer, needed: Answer | None, step: Step | None) -> Answer | None:
    if step is None or not isinstance(answer, Applies):
        return None
    match needed:
        case CannotTell(because=because):
            return CannotTell(because=f"it needs {step.id}: {because}")
        case DoesNotApply(why=why):
            return DoesNotApply(why=f"it needs {step.id}: {why}")
        case Applies() | None:
            return None
        case _:
            assert_never(needed)


def _alone(step: Step, steps: Sequence[Step]) -> tuple[Ids, Ids]:
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


def _planned(
    step: Step, answer: Answer, ids: tuple[str, ...], open_steps: Sequence[Step], pricer: _Pricer
) -> PlannedStep:
    match answer:
        case DoesNotApply(why=why):
            return _outside(step, Verdict.DOES_NOT_APPLY, why)
        case CannotTell(because=because):
            return _outside(step, Verdict.CANNOT_TELL, because)
        case Applies(evidence=evidence):
            pass
        case _:
            assert_never(answer)
    alone = _saving(*_alone(step, open_steps), pricer)
    if step.id not in ids:
        why_not = _does_not_pay(step, ids, open_steps, alone, pricer)
        return _outside(step, Verdict.DOES_NOT_APPLY, why_not, alone, evidence)
    place = ids.index(step.id)
    return PlannedStep(
        id=step.id,
        rank=place + 1,
        verdict=Verdict.APPLIES,
        why_not="",
        standalone=alone,
        marginal=_saving(frozenset(ids[:place]), frozenset(ids[: place + 1]), pricer),
        evidence=evidence,
    )


def _outside(
    step: Step,
    verdict: Verdict,
    why_not: str,
    standalone: Saving | None = None,
    evidence: tuple[Evidence, ...] = (),
) -> PlannedStep:
    return PlannedStep(
        id=step.id,
        rank=None,
        verdict=verdict,
        why_not=why_not,
        standalone=standalone,
        marginal=None,
        evidence=evidence,
    )


def _does_not_pay(
    step: Step, ids: tuple[str, ...], open_steps: Sequence[Step], alone: Saving, pricer: _Pricer
) -> str:
    for other in open_steps:
        if other.id in ids and (other.id in step.excludes or step.id in other.excludes):
            return f"does not pay here: {other.id} excludes it and saves more"
    best = frozenset(ids)
    added = pricer.saved(best, best | {step.id}, Edge.LOW, FITTED)
    harm = [
        where
        for share, where in ((alone.share.low, "alone"), (added, "after the best order"))
        if share <= 0
    ]
    return (
        "does not pay here: at its cautious end it brings nothing or costs more, "
        + " and ".join(harm or ["once its effort is counted"])
    )


def _saving(before: Ids, after: Ids, pricer: _Pricer) -> Saving:
    """The saving from one set to the other.

    The interval runs from the 5 % quantile over the draws at the worse edge to the 95 % quantile
    at the better one, each moved outwards by the model's held-out error e: before and after come
    from one model, so a share s is off by e·s·(1 - s), nothing where nothing or all is saved.
    """
    fitted = [pricer.saved(before, after, edge, FITTED) for edge in EDGES]
    drawn = [
        [pricer.saved(before, after, edge, draw) for draw in range(1, pricer.draws)] or [point]
        for edge, point in zip(EDGES, fitted, strict=True)
    ]
    low = min(*fitted, *(percentile(shares, QUANTILES[0]) for shares in drawn))
    high = max(*fitted, *(percentile(shares, QUANTILES[1]) for shares in drawn))
    low -= pricer.error_share * abs(low) * (1 - low)
    high += pricer.error_share * abs(high) * (1 - high)
    present = pricer.cost(frozenset(), Edge.LOW, FITTED)
    return Saving(
        point_share=math.fsum(fitted) / len(fitted),
        share=Interval(low=low, high=high),
        cost=Interval(low=low * present, high=high * present),
    )


def _order(name: str, ids: tuple[str, ...], pricer: _Pricer) -> Order:
    cautious, hopeful = (
        tuple(pricer.cost(frozenset(ids[:n]), edge, FITTED) for n in range(len(ids) + 1))
        for edge in EDGES
    )
    return Order(name=name, ids=ids, cautious_path=cautious, hopeful_path=hopeful)

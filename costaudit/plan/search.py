"""Searches the order of the steps and says what each of them saves, as intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval, percentile
from costaudit.plan.convention import CONVENTIONS, conventional
from costaudit.plan.lattice import BEAM_WIDTH, EXACT_UP_TO, best_order
from costaudit.plan.plan import Order, Plan, PlannedStep, Saving, Verdict
from costaudit.plan.pricer import FITTED, Ids, Pricer, pricer_of
from costaudit.playbook.step import Applies, CannotTell, DoesNotApply, Edge, Evidence, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.playbook.step import Situation
    from costaudit.whatif.scenario import Scenario

FEW_DRAWS = 4  # of the step times where more than EXACT_UP_TO steps apply: time is short
QUANTILES = (0.05, 0.95)  # of the draws
EDGES = (Edge.LOW, Edge.HIGH)

Answer = Applies | DoesNotApply | CannotTell


def search(
    steps: Sequence[Step],
    situation: Situation,
    *,
    cost: Callable[[Scenario], float],
    unit: str,
    draws: int = 8,
) -> Plan:
    """Assess all steps, search the best order of those that apply, price everything.

    `cost` gives a scenario's cost per 1M tokens in `unit`; how often it is called at most, see
    `expected_costs`. Where more than EXACT_UP_TO steps apply, FEW_DRAWS of the draws are used.

    Raises:
        InconclusiveError: the present cost is not a positive number.
    """
    said: Mapping[str, Answer] = {step.id: step.assess(situation) for step in steps}
    applicable = sum(isinstance(answer, Applies) for answer in said.values())
    pricer = pricer_of(steps, situation.scenario, cost, _draws(applicable, draws))
    present = pricer.cost(frozenset(), Edge.LOW, FITTED)
    if not (math.isfinite(present) and present > 0):
        raise InconclusiveError(f"the present cost is {present}, so no saving can be told")
    answers = _answers(steps, said, situation.scenario, pricer)
    open_steps = [s for s in steps if isinstance(answers[s.id], Applies)]
    ids = _best(open_steps, pricer)
    planned = [_planned(s, answers[s.id], ids, open_steps, pricer) for s in steps]
    planned.sort(key=lambda p: (p.rank or len(ids) + 1, p.id))
    return Plan(
        unit=unit,
        present_cost=present,
        steps=tuple(planned),
        best=_order("best", ids, pricer),
        conventional=tuple(
            _order(name, _priceable(conventional(name, open_steps, ids), pricer), pricer)
            for name in CONVENTIONS
        ),
        cumulative=tuple(
            _saving(frozenset(), frozenset(ids[: place + 1]), pricer) for place in range(len(ids))
        ),
    )


def _best(steps: Sequence[Step], pricer: Pricer) -> tuple[str, ...]:
    """The best order found; of the sets that a beam may miss, at least the conventional ones."""
    found = best_order(steps, pricer.cautious)
    if len(steps) <= EXACT_UP_TO:
        return found
    for name in CONVENTIONS:
        other = _priceable(conventional(name, steps, found), pricer)
        if pricer.cautious(frozenset(other)) < pricer.cautious(frozenset(found)):
            found = best_order([step for step in steps if step.id in other], pricer.cautious)
    return found


def expected_costs(applicable: int, draws: int) -> int:
    """About how many scenarios are priced for so many applicable steps.

    All sets or those of the beam, the intervals alone and in order, the paths of the orders.
    """
    sets = 1 << applicable
    if applicable > EXACT_UP_TO:
        sets = BEAM_WIDTH * applicable * (applicable + 1) // 2
    intervals = 4 * applicable * (_draws(applicable, draws) + 1)
    return sets + intervals + len(EDGES) * applicable * (1 + len(CONVENTIONS))


def _draws(applicable: int, wanted: int) -> int:
    return wanted if applicable <= EXACT_UP_TO else min(wanted, FEW_DRAWS)


def _priceable(ids: tuple[str, ...], pricer: Pricer) -> tuple[str, ...]:
    """Without the steps after which nothing could run, those before them being made."""
    taken: tuple[str, ...] = ()
    for step_id in ids:
        if math.isfinite(pricer.cautious(frozenset((*taken, step_id)))):
            taken += (step_id,)
    return taken


def _answers(
    steps: Sequence[Step], said: Mapping[str, Answer], scenario: Scenario, pricer: Pricer
) -> Mapping[str, Answer]:
    """What becomes of a step whose requirement is neither in place nor applies: it cannot stand."""
    answers = dict(said)
    by_id = {step.id: step for step in steps}
    for _ in steps:  # a requirement of a requirement may fall in a later round
        for step in steps:
            for needed in step.requires:
                blocked = _blocked(answers[step.id], answers.get(needed), by_id.get(needed))
                if blocked and by_id[needed].change(scenario, Edge.LOW) != scenario:
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
    step: Step, answer: Answer, ids: tuple[str, ...], open_steps: Sequence[Step], pricer: Pricer
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
    step: Step, ids: tuple[str, ...], open_steps: Sequence[Step], alone: Saving, pricer: Pricer
) -> str:
    for other in open_steps:
        if other.id in ids and (other.id in step.excludes or step.id in other.excludes):
            return f"does not pay here: {other.id} excludes it and saves more"
    best = frozenset(ids)
    added = pricer.cautious(best) - pricer.cautious(best | {step.id})
    harm = [
        where
        for share, where in ((alone.share.low, "alone"), (added, "after the best order"))
        if share <= 0
    ]
    return (
        "does not pay here: at its cautious end it brings nothing or costs more, "
        + " and ".join(harm or ["once its effort is counted"])
    )


def _saving(before: Ids, after: Ids, pricer: Pricer) -> Saving:
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


def _order(name: str, ids: tuple[str, ...], pricer: Pricer) -> Order:
    cautious, hopeful = (
        tuple(pricer.cost(frozenset(ids[:n]), edge, FITTED) for n in range(len(ids) + 1))
        for edge in EDGES
    )
    return Order(name=name, ids=ids, cautious_path=cautious, hopeful_path=hopeful)

"""Searches the order of the steps and says what each of them saves, as intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

from costaudit.ground.errors import InconclusiveError
from costaudit.plan.bounds import bounds_of
from costaudit.plan.choice import choose, priceable
from costaudit.plan.convention import CONVENTIONS, conventional
from costaudit.plan.lattice import BEAM_WIDTH, EXACT_UP_TO
from costaudit.plan.plan import Order, Plan, PlannedStep, Point
from costaudit.plan.planned import Searched, alone, planned
from costaudit.plan.pricer import FITTED, pricer_of
from costaudit.plan.saving import EDGES, saving
from costaudit.playbook.step import Applies, CannotTell, DoesNotApply, Edge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.plan.bounds import Bounds, Worth
    from costaudit.plan.pricer import Pricer
    from costaudit.playbook.step import Applicability, Situation, Step
    from costaudit.whatif.scenario import Scenario

FEW_DRAWS = 4  # of the step times where more than EXACT_UP_TO steps apply: time is short


def search(
    steps: Sequence[Step],
    situation: Situation,
    *,
    price: Callable[[Scenario], Worth],
    unit: str,
    draws: int = 8,
) -> Plan:
    """Assess all steps, search the best order of those that apply, price everything.

    `price` gives a scenario's cost per 1M tokens in `unit` and its latencies, which the SLO of
    the workload bounds; how often it is called at most, see `expected_costs`. Where more than
    EXACT_UP_TO steps apply, FEW_DRAWS of the draws are used.

    Raises:
        InconclusiveError: the present cost is not a positive number.
    """
    said: Mapping[str, Applicability] = {step.id: step.assess(situation) for step in steps}
    applicable = sum(isinstance(answer, Applies) for answer in said.values())
    pricer = pricer_of(steps, situation.scenario, price, _draws(applicable, draws))
    today = pricer.whole(frozenset(), Edge.LOW, FITTED)
    if not (math.isfinite(today.cost) and today.cost > 0):
        raise InconclusiveError(f"the present cost is {today.cost}, so no saving can be told")
    bounds = bounds_of(situation.metrics.workload.slo, today)
    answers = _answers(steps, said, situation.scenario, pricer)
    open_steps = [s for s in steps if isinstance(answers[s.id], Applies)]
    found = Searched(
        choice=choose(open_steps, pricer, bounds),
        steps=open_steps,
        pricer=pricer,
        bounds=bounds,
        term=situation.scenario.prices.reserved_term,
    )
    verdicts = [planned(step, answers[step.id], found) for step in steps]
    return _plan(found, verdicts, unit)


def _plan(found: Searched, verdicts: Sequence[PlannedStep], unit: str) -> Plan:
    """The plan of what was found, those of the best order first."""
    ids, pricer, bounds = found.ids, found.pricer, found.bounds
    usual = {name: conventional(name, found.steps, ids) for name in CONVENTIONS}
    free, today = found.choice.unbound, pricer.cautious(frozenset())
    return Plan(
        unit=unit,
        present_cost=today.cost,
        steps=tuple(sorted(verdicts, key=lambda p: (p.rank or len(ids) + 1, p.id))),
        best=_order("best", ids, pricer, bounds),
        conventional=tuple(
            _order(name, priceable(order, pricer), pricer, bounds) for name, order in usual.items()
        ),
        cumulative=tuple(
            saving(frozenset(), frozenset(ids[: place + 1]), pricer) for place in range(len(ids))
        ),
        slo=bounds.slo,
        today_s=today.latency_s,
        today_breaks=bounds.breaches(today),
        unbound=None if free is None else _order("without the SLO", free, pricer, bounds),
        front=tuple(_point(order, pricer, bounds) for order in found.choice.front),
        exact=len(found.steps) <= EXACT_UP_TO,
        sampled=pricer.samples,
    )


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


def _answers(
    steps: Sequence[Step], said: Mapping[str, Applicability], scenario: Scenario, pricer: Pricer
) -> Mapping[str, Applicability]:
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
                saving(*alone(step, steps), pricer)
            except InconclusiveError as err:
                answers[step.id] = CannotTell(because=err.message)
    return answers


def _blocked(
    answer: Applicability, needed: Applicability | None, step: Step | None
) -> Applicability | None:
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


def _order(name: str, ids: tuple[str, ...], pricer: Pricer, bounds: Bounds) -> Order:
    made = [frozenset(ids[:n]) for n in range(len(ids) + 1)]
    cautious, hopeful = (
        tuple(pricer.cost(taken, edge, FITTED) for taken in made) for edge in EDGES
    )
    worths = [pricer.cautious(taken) for taken in made]
    return Order(
        name=name,
        ids=ids,
        cautious_path=cautious,
        hopeful_path=hopeful,
        breaks=tuple(
            breach
            for step_id, worth in zip(ids, worths[1:], strict=True)
            for breach in bounds.breaches(worth, after=step_id)
        ),
        latency_s=worths[-1].latency_s,
    )


def _point(ids: tuple[str, ...], pricer: Pricer, bounds: Bounds) -> Point:
    worth = pricer.cautious(frozenset(ids))
    return Point(ids=ids, cost=worth.cost, latency_s=worth.latency_s, breaks=bounds.breaches(worth))

"""The rows of the table: every mix with its units, its month, its tail, and what speaks against it.

On a short history the cheapest commitment stands there once more, held back to what no part of
the history would have regretted; with a budget, once more with as many units as keep the bill's
tail within it, if any number does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.pricing import history
from costaudit.pricing.capacity import TOKENS_PER_UNIT
from costaudit.pricing.cover import best_units, mix_usd, rows_of
from costaudit.pricing.risk import Draws, Plan, level_sigma, tails

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.pricing.load import Load
    from costaudit.pricing.risk import Tail
    from costaudit.pricing.way import Mix

NO_REGRET = "no-regret"
WITHIN_BUDGET = "within-budget"
TRIED = 12  # amounts between the cheapest and the peak of a high month
FAR_LEVELS = 2.0  # standard deviations that make a month high
FOR_TRIAL = Draws(count=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of the table. `usd_per_month` repeats the history; `tail` draws it anew.

    `advised` False: `why` says what speaks against it, whatever it costs.
    """

    mix: Mix
    units: int
    usd_per_month: float
    usd_per_1m_tokens: float
    tail: Tail
    advised: bool
    why: str = ""


def options_of(
    load: Load, mixes: Sequence[Mix], draws: Draws, budget_usd: float | None
) -> tuple[Option, ...]:
    """All options, the lowest mean of the draws first."""
    rows, short = rows_of(load), history.enough(load)
    step = load.replicas_per_server
    every = (Plan(mix=mix, units=best_units(rows, mix, step=step)) for mix in mixes)
    plans = [plan for plan in every if plan.units or plan.mix.committed is None]
    plans += _held_back(load, plans) if short else []
    plans += [] if budget_usd is None else _within(load, plans, budget_usd)
    drawn = tails(load, plans, draws, budget_usd=budget_usd)
    tokens = float((rows.computed + rows.cached + rows.output).sum())
    found = []
    for plan, tail in zip(plans, drawn, strict=True):
        usd, why = mix_usd(rows, plan.mix, plan.units), _against(plan, short)
        found.append(
            Option(
                mix=plan.mix,
                units=plan.units,
                usd_per_month=usd * load.per_month,
                usd_per_1m_tokens=usd * TOKENS_PER_UNIT / tokens,
                tail=tail,
                advised=not why,
                why=why,
            )
        )
    return tuple(sorted(found, key=lambda option: (option.tail.mean_usd, option.mix.id)))


def committing(options: Sequence[Option], best: Option | None) -> Mix | None:
    """The commitment to speak of: the best option's, else the cheapest that commits."""
    own = [option for option in options if option.mix.term_h and not option.mix.at_peak]
    if best is not None and best in own:
        return best.mix
    return own[0].mix if own else None


def _committed(plans: Sequence[Plan]) -> list[Plan]:
    return [plan for plan in plans if plan.mix.term_h and not plan.mix.at_peak]


def _held_back(load: Load, plans: Sequence[Plan]) -> list[Plan]:
    rows = rows_of(load)
    best = min(
        _committed(plans), key=lambda plan: mix_usd(rows, plan.mix, plan.units), default=None
    )
    units = history.no_regret_units(load, best.mix) if best else 0
    return [_named(best, units, NO_REGRET, "no-regret amount")] if best and units else []


def _within(load: Load, plans: Sequence[Plan], budget_usd: float) -> list[Plan]:
    """The cheapest amount of the cheapest commitment whose worst twentieth is in the budget.

    Nothing where its cheapest amount is already, or no amount is.
    """
    rows, step = rows_of(load), load.replicas_per_server
    best = min(
        _committed(plans), key=lambda plan: mix_usd(rows, plan.mix, plan.units), default=None
    )
    if best is None:
        return []
    most = math.ceil(max(load.replicas) * math.exp(FAR_LEVELS * level_sigma(load)))
    apart = max(step, (most - best.units) // TRIED // step * step)
    tried = [replace(best, units=units) for units in range(best.units, most + 1, apart)]
    drawn = tails(load, tried, FOR_TRIAL)
    if drawn[0].cvar95_usd <= budget_usd:
        return []
    fitting = [
        (tail.mean_usd, plan)
        for plan, tail in zip(tried, drawn, strict=True)
        if tail.cvar95_usd <= budget_usd
    ]
    if not fitting:
        return []
    units = min(fitting, key=lambda pair: pair[0])[1].units
    return [_named(best, units, WITHIN_BUDGET, "tail in budget")]


def _named(plan: Plan, units: int, suffix: str, title: str) -> Plan:
    mix = replace(plan.mix, id=f"{plan.mix.id}+{suffix}", title=f"{plan.mix.title}, {title}")
    return Plan(mix=mix, units=units)


def _against(plan: Plan, short: str) -> str:
    if plan.mix.overflow is not None and plan.mix.overflow.patient:
        return "answers may take a day"
    if short and plan.mix.term_h and plan.units and not plan.mix.id.endswith(NO_REGRET):
        return short
    return ""

"""All of it joined: the table of options, the best of them, how sure that is and where it flips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.pricing import flips as flip_points
from costaudit.pricing import history
from costaudit.pricing.capacity import unit_costs
from costaudit.pricing.cover import mix_usd, rows_of
from costaudit.pricing.mixes import mixes
from costaudit.pricing.options import Option, committing, options_of
from costaudit.pricing.risk import Draws, Plan
from costaudit.pricing.stranded import USUAL_GAIN, Gain, Stranded, stranded
from costaudit.pricing.what_ifs import WhatIf, what_ifs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.pricing.capacity import Capacity, UnitCosts
    from costaudit.pricing.cover import Rows
    from costaudit.pricing.flips import BreakEven, Flip
    from costaudit.pricing.history import Regret
    from costaudit.pricing.load import Load
    from costaudit.pricing.way import Mix, Offers


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a monthly budget, how to draw, and gains that engineering still promises."""

    budget_usd: float | None = None
    draws: Draws = field(default_factory=Draws)
    gains: tuple[Gain, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The answer. `options` from the cheapest up; `best` None: `why` says what is missing."""

    load: Load
    capacity: Capacity
    offers: Offers
    draws: Draws
    options: tuple[Option, ...]
    best: Option | None
    why: str
    insufficient_history: str
    units: UnitCosts | None
    regret: Regret | None
    stranded: tuple[Stranded, ...]
    what_ifs: tuple[WhatIf, ...]
    flips: tuple[Flip, ...]
    break_evens: tuple[BreakEven, ...]


def advise(load: Load, capacity: Capacity, offers: Offers, question: Question) -> Advice:
    """Every way to pay for this load, and the one to take.

    Raises:
        InconclusiveError: no way has a price, or nothing is served.
    """
    rows = rows_of(load)
    found = mixes(offers, rows)
    if not found:
        reasons = "; ".join(offer.why_not for offer in offers.by_kind.values() if offer.why_not)
        raise InconclusiveError(
            "no way to pay for this has a price", hint=reasons or "give one with --price"
        )
    if not sum(load.fluid):
        raise InconclusiveError("the log holds no tokens, so there is nothing to pay for")
    options = options_of(load, found, question.draws, question.budget_usd)
    best = next((option for option in options if option.advised), None)
    contract = committing(options, best)
    serving = [mix for mix in found if _competes(mix)]
    return Advice(
        load=load,
        capacity=capacity,
        offers=offers,
        draws=question.draws,
        options=options,
        best=best,
        why="" if best else "every option that has a price is advised against",
        insufficient_history=history.enough(load),
        units=_unit_costs(rows, capacity, options),
        regret=history.regret(load, contract) if contract else None,
        stranded=_stranded(load, contract, question.gains),
        what_ifs=_what_ifs(load, best, serving, question.draws) if best else (),
        flips=(
            *flip_points.utilization_flips(offers, rows),
            *(flip_points.factor_flips(load, serving) if serving else ()),
        ),
        break_evens=flip_points.break_evens(offers),
    )


def _what_ifs(load: Load, best: Option, serving: Sequence[Mix], draws: Draws) -> tuple[WhatIf, ...]:
    return what_ifs(load, Plan(mix=best.mix, units=best.units), serving, draws)


def _competes(mix: Mix) -> bool:
    """Answers at once, and buys no more than pays."""
    return not mix.at_peak and (mix.overflow is None or not mix.overflow.patient)


def _unit_costs(rows: Rows, capacity: Capacity, options: Sequence[Option]) -> UnitCosts | None:
    """Shadow prices under the cheapest option that is served by replicas alone.

    None where there is no such option, or where nobody ever asks for a whole replica's work.
    """
    served = next((o for o in options if o.mix.overflow is None), None)
    if served is None:
        return None
    paid = sum(max(n, served.units) * count for n, count in enumerate(rows.windows.tolist()))
    if not paid:
        return None
    paid_h = paid * rows.window_h
    return unit_costs(
        capacity,
        usd_per_replica_h=mix_usd(rows, served.mix, served.units) / paid_h,
        paid_replica_h=paid_h,
        computed_prompt_tokens=float(rows.computed.sum()),
        output_tokens=float(rows.output.sum()),
    )


def _stranded(load: Load, mix: Mix | None, gains: Sequence[Gain]) -> tuple[Stranded, ...]:
    if mix is None:
        return ()
    return tuple(stranded(load, mix, gain) for gain in (*gains, USUAL_GAIN) if gain.factor >= 1)

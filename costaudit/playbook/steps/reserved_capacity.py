"""Reserved capacity: commit to the hours that are needed anyway.

Why it costs      On-demand hours carry the price of being free to leave at any time, also for
                  devices that never do.
When it helps     A device is needed in at least the share r/o of all hours, r the reserved and o
                  the on-demand price of an hour: above that a commitment is cheaper, hour by hour.
When it does not  Demand comes in bursts and devices are given back in between; the price of the
                  next generation falls faster than the discount; efficiency work still to come
                  will free the devices that were committed.
Risk              The commitment is paid to its end, used or not. Hence always the last step: an
                  efficiency gain made after it strands paid hours. It lowers the bill's level, not
                  its swings, unless the peak is reserved.
Verify            Over a month: hours used of the hours committed stay above r/o.
Sources           Newsvendor rule on the load-duration curve: reserve unit k if the share of hours
                  with demand of k or more is at least r/o. For the low end, on-demand prices fall
                  by 20 % a year over the term, so that r counts against their mean over the term,
                  o·(1-exp(-δL))/(δL); AWS cut its H100 (p5) on-demand price by up to 45 % at once
                  in June 2025 (AWS News Blog).
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Evidence,
    Risk,
    Situation,
    Step,
)

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Prices, Scenario

PRICE_FALL_PER_YEAR = 0.20  # of the on-demand price, at the low end
LONGEST_TERM_YEARS = 3.0  # what clouds commonly sell; assumed where the term is not said
WEEK_S = 7 * 86_400.0  # the shortest cycle of demand: less says nothing of a year
CLOSED_LOAD = "the load is closed, so it never idles: a log of real traffic would show the demand"


def term_years(term: str) -> float:
    """Years of a term such as "1y", "36 months" or "3 years"; the longest where it is not said."""
    found = re.search(r"([\d.]+)\s*([ym])", term.lower())
    if not found:
        return LONGEST_TERM_YEARS
    return float(found[1]) / (12 if found[2] == "m" else 1)


def price_fall_factor(years: float) -> float:
    """How much dearer a fixed price is against a falling one: δL / (1 - exp(-δL))."""
    fall = PRICE_FALL_PER_YEAR * years
    return fall / -math.expm1(-fall) if fall else 1.0


def assess(situation: Situation) -> Applicability:
    """Hours of need at or above the break-even share r/o."""
    prices, traffic = situation.scenario.prices, situation.scenario.traffic
    if prices.reserved:
        return DoesNotApply(why="the capacity is reserved already")
    if not prices.usd_per_device_h or prices.reserved_usd_per_device_h is None:
        return CannotTell(because="the on-demand and the reserved price of an hour are not known")
    if traffic.concurrency is not None:
        return CannotTell(because=CLOSED_LOAD)
    window_s = situation.outcome.window_s
    if window_s < WEEK_S:
        return CannotTell(
            because=f"{window_s:.0f} seconds of traffic do not show the demand of a week or more"
        )
    break_even = prices.reserved_usd_per_device_h / prices.usd_per_device_h
    needed = 1 - situation.outcome.demand_idle_s / window_s
    if needed < break_even:
        return DoesNotApply(
            why=f"the device is needed in {needed:.2f} of the hours; "
            f"a commitment pays from {break_even:.2f} on"
        )
    return Applies(evidence=_evidence(needed, break_even))


def _evidence(needed: float, break_even: float) -> tuple[Evidence, ...]:
    return (
        Evidence(
            what="hours with demand",
            value=needed,
            unit="share",
            where="simulation of the traffic log",
        ),
        Evidence(
            what="break-even, reserved over on-demand price",
            value=break_even,
            unit="share",
            where="prices",
        ),
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Bill every hour of the term at the reserved rate; the low end lets on-demand prices fall."""
    prices = scenario.prices
    if prices.reserved or prices.reserved_usd_per_device_h is None:
        return scenario
    factor = price_fall_factor(term_years(prices.reserved_term)) if edge is Edge.LOW else 1.0
    committed: Prices = replace(
        prices,
        reserved=True,
        reserved_usd_per_device_h=prices.reserved_usd_per_device_h * factor,
    )
    return replace(scenario, prices=committed)


STEP = Step(
    id="reserved-capacity",
    title="Reserve what is needed anyway",
    category="contract",
    effort=Effort.CONTRACT,
    risk=Risk.COMMITMENT,
    confidence=Confidence.MODELLED,
    assess=assess,
    change=change,
    snippets={},
    last=True,
)

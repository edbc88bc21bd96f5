"""Ways to pay for a traffic log: from a recording, or a capacity measured elsewhere, to advice."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from costaudit import __version__
from costaudit.audit.document import SCHEMA
from costaudit.audit.pricing_section import contracts_section
from costaudit.audit.situation import AuditOptions, read_situation
from costaudit.audit.unknowns import explain
from costaudit.facts.own_prices import NO_OWN_PRICES
from costaudit.ground.errors import InconclusiveError
from costaudit.pricing.advise import Question, advise
from costaudit.pricing.given_capacity import GivenCapacity
from costaudit.pricing.load import COLD_START_S, load_of
from costaudit.pricing.market import Market, served_by
from costaudit.pricing.risk import AS_LISTED, Draws, World
from costaudit.pricing.saturate import Slo, capacity_of
from costaudit.pricing.stranded import Gain
from costaudit.pricing.way import offers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from costaudit.facts.own_prices import OwnPrices
    from costaudit.pricing.advise import Advice
    from costaudit.traffic.demand import Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractOptions:
    """What the user says beside the log.

    Attributes:
        usd_per_device_h: on-demand price of one device-hour; None: from the price books.
        api: `provider/model` of a token API, where the model's own name would not find it.
        slo: limits in seconds; None: those that the workload declares.
        least: replicas that are always kept.
        replicas_per_server: replicas that are rented together.
        command: the command line, without its secrets; "" where there is none.
    """

    usd_per_device_h: float | None = None
    reserved_usd_per_device_h: float | None = None
    own: OwnPrices = NO_OWN_PRICES
    api: str | None = None
    budget_usd_per_month: float | None = None
    slo: Slo | None = None
    cold_start_s: float = COLD_START_S
    least: int = 0
    replicas_per_server: int = 1
    command: str = ""
    today: dt.date = field(default_factory=lambda: dt.datetime.now(dt.UTC).date())


def price_given(demand: Demand, given: GivenCapacity, options: ContractOptions) -> dict[str, Any]:
    """A document with the section `pricing` alone, for a capacity that was measured elsewhere.

    Raises:
        InconclusiveError: no way to pay has a price, or the log holds no tokens.
    """
    advice = _advise(demand, given, options, gains=())
    return {
        "schema": SCHEMA,
        "pricing": contracts_section(advice, demand),
        "provenance": {"costaudit_version": __version__, **_origin(demand, options)},
        "unknown": [],
    }


def price_recording(
    document: Mapping[str, Any], path: Path, demand: Demand, options: ContractOptions
) -> dict[str, Any]:
    """The audit `document` of the recording at `path`, its section `pricing` filled in.

    Raises:
        InconclusiveError: the step times are not good enough for a claim in dollars, the SLO
            cannot be kept, no way to pay has a price, or the log holds no tokens.
    """
    if document["steptime"]["refused"]:
        raise InconclusiveError(
            f"no claim in dollars can be made: {document['steptime']['why']}",
            hint="record again on a quieter machine, or give a --capacity that was measured",
        )
    given = _measured(path, demand, options)
    advice = _advise(demand, given, options, gains=plan_gains(document))
    filled = {**document, "pricing": contracts_section(advice, demand)}
    kept = [e for e in document["unknown"] if not e["what"].startswith("pricing.")]
    nulls = explain({"pricing": filled["pricing"]}, {"pricing": advice.why})
    origin = document["provenance"] | _origin(demand, options)
    return {**filled, "provenance": origin, "unknown": kept + nulls}


def _origin(demand: Demand, options: ContractOptions) -> dict[str, Any]:
    """Of the log, and how it was priced; a sceptic makes the same hash from the same log."""
    windows = zip(
        demand.starts,
        demand.requests,
        demand.prompt_tokens,
        demand.output_tokens,
        strict=True,
    )
    lines = (f"{at.isoformat()} {' '.join(map(_told, counts))}\n" for at, *counts in windows)
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    told = {"log": demand.source, "demand_sha256": digest}
    return {"priced_by": options.command, **told} if options.command else told


def _told(count: float | None) -> str:
    """A window without a record has a dash."""
    return "-" if count is None else f"{count:.0f}"


def plan_gains(document: Mapping[str, Any]) -> tuple[Gain, ...]:
    """What the playbook still promises: tokens per replica after all steps of the best order.

    The step that commits is no engineering: its part of the joint saving is left out by taking
    the cost before it.
    """
    saved = [s for s in document["playbook"] if s["id"] in document["order"]["best"]]
    left = 1.0
    for step in saved:
        share = step["marginal"]["low_share"]
        if step["category"] != "contract" and share is not None:
            left -= share
    if not 0 < left < 1:
        return ()
    return (Gain(factor=1 / left, source="low end of the playbook's steps in their best order"),)


def _measured(path: Path, demand: Demand, options: ContractOptions) -> GivenCapacity:
    asked = AuditOptions(
        usd_per_device_h=options.usd_per_device_h, own=options.own, today=options.today
    )
    judged = read_situation(path, asked)
    metrics, scenario = judged.situation.metrics, judged.situation.scenario
    return GivenCapacity(
        capacity=capacity_of(
            scenario, slo=options.slo or _declared(metrics.workload.slo), demand=demand
        ),
        device=metrics.device.name,
        model=metrics.target.model,
        kind=metrics.device.kind,
    )


def _worlds(own: OwnPrices) -> tuple[World, ...]:
    """The user's price scenarios; without any, prices stay as listed."""
    worlds = (
        World(
            id=said.name,
            hourly=said.hourly_factor,
            spot=said.spot_factor,
            tokens=said.token_factor,
            weight=said.weight,
        )
        for said in own.scenarios
    )
    return tuple(worlds) or (AS_LISTED,)


def _declared(slo: Mapping[str, float]) -> Slo:
    """The workload's limits; the time per output token is held to its limit between tokens."""
    return Slo(ttft_s=slo.get("ttft_s"), tpot_s=slo.get("itl_s"))


def _advise(
    demand: Demand, given: GivenCapacity, options: ContractOptions, *, gains: tuple[Gain, ...]
) -> Advice:
    load = load_of(
        demand,
        given.capacity,
        cold_start_s=options.cold_start_s,
        least=options.least,
        replicas_per_server=options.replicas_per_server,
    )
    market = Market(
        device=given.device,
        kind=given.kind,
        devices=given.capacity.devices,
        model=given.model,
        served=served_by(load),
        today=options.today,
        own=options.own,
        api=options.api,
        on_demand_usd=options.usd_per_device_h,
        reserved_usd=options.reserved_usd_per_device_h,
    )
    question = Question(
        budget_usd=options.budget_usd_per_month,
        draws=Draws(worlds=_worlds(options.own)),
        gains=gains,
    )
    return advise(load, given.capacity, offers(market), question)

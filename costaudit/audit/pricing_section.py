"""The document's section on ways to pay: the prices used, and the advice where there is a log."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.facts.own_prices import HOURS_PER_MONTH
from costaudit.pricing.reserve import load_duration
from costaudit.pricing.risk import knows_its_months, level_sigma

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.audit.prices import KnownPrice
    from costaudit.pricing.advise import Advice
    from costaudit.pricing.capacity import Capacity
    from costaudit.pricing.load import Load
    from costaudit.pricing.options import Option
    from costaudit.pricing.way import Quote
    from costaudit.traffic.demand import Demand


def pricing_section(prices: tuple[KnownPrice, ...], why: str) -> dict[str, Any]:
    """The prices used; ways to pay are compared where there is a traffic log."""
    return {
        "options": [],
        "best": None,
        "break_even": None,
        "flip_points": [],
        "prices": [
            {
                "id": price.id,
                "usd_per_device_h": price.usd_per_device_h,
                "source": price.source,
                "as_of": price.as_of,
                "stale": price.stale,
                "note": price.note,
            }
            for price in prices
        ],
        "why": why,
    }


def contracts_section(advice: Advice, demand: Demand) -> dict[str, Any]:
    """The whole of an advice; a value that does not exist is left out, not null."""
    stale = {quote.id for quote in advice.offers.quotes if quote.stale}
    return {
        "options": [_option(option, stale) for option in advice.options],
        "best": advice.best.mix.id if advice.best else None,
        "break_even": _break_even(advice),
        "flip_points": [asdict(flip) for flip in advice.flips],
        "prices": [_price(quote) for quote in advice.offers.quotes],
        "why": advice.why,
        "demand": _demand(demand, advice.load),
        "capacity": _capacity(advice.capacity),
        "need": _need(advice.load),
        **({"unit_costs": _known(asdict(advice.units))} if advice.units else {}),
        "history": _history(advice),
        "stranded": [asdict(order) for order in advice.stranded],
        "what_ifs": [asdict(case) for case in advice.what_ifs],
        "assumptions": [asdict(said) for said in advice.offers.assumptions],
        "not_offered": [
            {"id": kind, "why": offer.why_not}
            for kind, offer in advice.offers.by_kind.items()
            if offer.why_not
        ],
    }


def _option(option: Option, stale: set[str]) -> dict[str, Any]:
    tail, mix = option.tail, option.mix
    month = {
        "mean": tail.mean_usd,
        "p50": tail.p50_usd,
        "p95": tail.p95_usd,
        "cvar95": tail.cvar95_usd,
        "as_recorded": option.usd_per_month,
        "spread_share": tail.spread_share,
    }
    if tail.over_budget_share is not None:
        month["over_budget_share"] = tail.over_budget_share
    section: dict[str, Any] = {
        "id": mix.id,
        "title": mix.title,
        "usd_per_month": month,
        "usd_per_1m_tokens": option.usd_per_1m_tokens,
        "advised": option.advised,
        "stale": sorted(stale & _ways(option)),
    }
    if mix.committed is not None:
        section["committed"] = {
            "way": mix.committed.id,
            "replicas": option.units,
            "usd_per_replica_h": mix.committed.usd_per_replica_h,
            "term_months": mix.term_h / HOURS_PER_MONTH,
        }
    return section | ({"why": option.why} if option.why else {})


def _ways(option: Option) -> set[str]:
    mix = option.mix
    return {way.id for way in (mix.committed, *mix.hourly, mix.overflow) if way is not None}


def _price(quote: Quote) -> dict[str, Any]:
    key = "usd_per_device_h" if quote.unit == "usd_per_device_h" else "usd"
    return {
        "id": quote.id,
        key: quote.usd,
        "unit": quote.unit,
        "source": quote.source,
        "as_of": quote.as_of,
        "stale": quote.stale,
        "note": quote.note,
    }


def _break_even(advice: Advice) -> dict[str, Any]:
    """Shares of hours by commitment: today's, then by how much hourly prices fall a year."""
    found: dict[str, Any] = {}
    for point in advice.break_evens:
        entry = found.setdefault(point.id, {"against": point.against, "shares": []})
        entry["shares"].append(
            {"fall_per_year_share": point.fall_per_year_share, "share": point.share}
        )
    return found


def _demand(demand: Demand, load: Load) -> dict[str, Any]:
    return {
        "source": demand.source,
        "format": demand.format,
        "days": load.history_days,
        "window_s": demand.window_s,
        "windows": len(demand.starts),
        "missing_share": load.missing_share,
        "prompt_tokens": sum(load.computed_tokens) + sum(load.cached_tokens),
        "cached_prompt_tokens": sum(load.cached_tokens),
        "output_tokens": sum(load.output_tokens),
        "rejected": [asdict(rejected) for rejected in demand.rejected],
        "duplicates": demand.duplicates,
        "time_zone": demand.time_zone_note,
        "notes": list(load.notes),
    }


def _capacity(capacity: Capacity) -> dict[str, Any]:
    section = _known(asdict(capacity))
    return section | {"notes": list(capacity.notes)}


def _need(load: Load) -> dict[str, Any]:
    replicas = load.replicas
    return {
        "mean_replicas": sum(replicas) / len(replicas),
        "most_replicas": max(replicas),
        "mean_fluid": sum(load.fluid) / len(load.fluid),
        "load_duration": [
            {"replicas": level.replicas, "share": level.share} for level in load_duration(replicas)
        ],
    }


def _history(advice: Advice) -> dict[str, Any]:
    load = advice.load
    section: dict[str, Any] = {
        "days": load.history_days,
        "sufficient": not advice.insufficient_history,
        "why": advice.insufficient_history,
        "draws": advice.draws.count,
        "price_scenarios": [world.id for world in advice.draws.worlds],
        "level_sigma": level_sigma(load),
        "level_sigma_origin": (
            "the history's own months" if knows_its_months(load) else "assumed: under three months"
        ),
    }
    if advice.regret is not None:
        section["regret"] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(advice.regret).items()
        }
    return section


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}

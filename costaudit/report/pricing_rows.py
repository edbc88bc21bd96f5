"""The section `pricing` of an Audit document in words; templates and the console only lay out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.fact_rows import Fact, Grid
from costaudit.report.pricing_facts import amount, price_fact, pricing_facts
from costaudit.report.stale_prices import StalePrices, stale_prices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FACTORS = {"volume": "volume", "api_price": "API prices", "hourly_price": "hourly prices"}
_WHAT_IFS = {
    "volume-x0.7": "30 % less volume",
    "efficiency-x1.6": "1.6 times the tokens per replica",
    "hourly-and-api-prices-x0.8": "hourly and API prices 20 % lower",
    "spot-price-x1.4": "spot 1.4 times as dear",
}
SHOWN_FLIPS = 3  # of the use of a replica, per API; the document has them all


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRow:
    """One way to pay, per month."""

    title: str
    replicas: str
    mean: str
    p95: str
    worst: str
    per_1m: str
    over: str
    mark: str  # "*" the best, "!" advised against, "" neither
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingView:
    """An advice on ways to pay, ready to be laid out; every text is final."""

    headline: str
    warnings: tuple[str, ...]
    stale: StalePrices | None
    options: tuple[OptionRow, ...]
    budgeted: bool
    why_not: tuple[str, ...]
    flips: tuple[str, ...]
    engineering_first: tuple[str, ...]
    what_ifs: Grid
    facts: tuple[Fact, ...]
    assumptions: tuple[Fact, ...]
    prices: tuple[Fact, ...]
    not_offered: tuple[Fact, ...]


def pricing_view(pricing: Mapping[str, Any]) -> PricingView:
    """The words of an advice; a document without a log has no options and no view."""
    options = pricing["options"]
    titles = titles_of(pricing)
    return PricingView(
        headline=_headline(pricing),
        warnings=tuple(_warnings(pricing)),
        stale=stale_prices(pricing["prices"], by="id"),
        options=tuple(_option(option, best=pricing["best"]) for option in options),
        budgeted=any("over_budget_share" in o["usd_per_month"] for o in options),
        why_not=_why_not(options),
        flips=tuple(_flips(pricing, titles)),
        engineering_first=tuple(_stranded(order) for order in pricing["stranded"]),
        what_ifs=_what_ifs(pricing["what_ifs"], titles),
        facts=tuple(pricing_facts(pricing)),
        assumptions=tuple(
            Fact(label=a["what"], text=amount(a["value"], a["unit"]), note=a["source"])
            for a in pricing["assumptions"]
        ),
        prices=tuple(price_fact(price) for price in pricing["prices"]),
        not_offered=tuple(
            Fact(label=gone["id"], text="cannot tell", note=gone["why"])
            for gone in pricing["not_offered"]
        ),
    )


def titles_of(pricing: Mapping[str, Any]) -> dict[str, str]:
    """What each option is called, by its id."""
    return {option["id"]: option.get("title", option["id"]) for option in pricing["options"]}


def _headline(pricing: Mapping[str, Any]) -> str:
    best = next((o for o in pricing["options"] if o["id"] == pricing["best"]), None)
    if best is None:
        return f"Nothing can be advised: {pricing['why']}."
    month = best["usd_per_month"]
    committed = best.get("committed", {}).get("replicas")
    many = f", {committed} committed" if committed else ""
    return (
        f"{best['title']}{many}: {figures.usd(month['mean'])} a month, "
        f"{figures.usd(month['p95'])} in one of twenty; "
        f"{figures.usd(best['usd_per_1m_tokens'])} per 1M tokens."
    )


def _warnings(pricing: Mapping[str, Any]) -> list[str]:
    found = []
    if not pricing["history"]["sufficient"]:
        found.append(
            f"{pricing['history']['why'].capitalize()}. A commitment is offered at the amount "
            "that no part of this history would have regretted, and no more."
        )
    found += [figures.sentence(note) for note in pricing["demand"].get("notes", ())]
    return found


def _option(option: Mapping[str, Any], *, best: str | None) -> OptionRow:
    month = option["usd_per_month"]
    return OptionRow(
        title=option["title"],
        replicas=figures.count(option.get("committed", {}).get("replicas", 0)),
        mean=figures.usd(month["mean"]),
        p95=figures.usd(month["p95"]),
        worst=figures.usd(month.get("cvar95")),
        per_1m=figures.usd(option.get("usd_per_1m_tokens")),
        over=figures.percent(month.get("over_budget_share")),
        mark=_mark(option, best),
        note=f"stale: {', '.join(option['stale'])}" if option.get("stale") else "",
    )


def _mark(option: Mapping[str, Any], best: str | None) -> str:
    if option["id"] == best:
        return "*"
    return "" if option.get("advised", True) else "!"


def _why_not(options: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Each reason against an option once."""
    reasons = (option["why"] for option in options if not option.get("advised", True))
    return tuple(figures.sentence(why) for why in dict.fromkeys(reasons))


def _flips(pricing: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    by_use = [flip for flip in pricing["flip_points"] if flip["what"] == "utilization"]
    by_use.sort(key=lambda flip: -flip["at"])  # the cheapest API first
    said = [_use_flip(flip, titles) for flip in by_use[:SHOWN_FLIPS]]
    factors = [flip for flip in pricing["flip_points"] if flip["what"] != "utilization"]
    if factors and not pricing["history"]["sufficient"]:
        said.append("The rest holds as far as this short history is typical.")
    for flip in factors:
        side = flip["above"] if flip["at"] > 1 else flip["below"]
        said.append(
            f"At {figures.significant(flip['at'])} times today's "
            f"{FACTORS[flip['what']]} {_name(titles, side)} becomes the cheapest."
        )
    for way, point in (pricing["break_even"] or {}).items():
        shares = ", ".join(
            f"{s['share']:.2f}"
            + (
                f" if prices fall by {figures.percent(s['fall_per_year_share'])} a year"
                if s["fall_per_year_share"]
                else ""
            )
            for s in point["shares"]
        )
        said.append(f"{way} pays for a replica that is used in this share of the hours: {shares}.")
    return said


def _use_flip(flip: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    api, own = _name(titles, flip["below"]), _name(titles, flip["above"])
    if flip["at"] <= 1:
        return f"Below {flip['at']:.2f} utilization {api} wins over {own}."
    return f"{api} wins over {own} at any utilization: they would meet at {flip['at']:.2f}."


def _name(titles: Mapping[str, str], identity: str) -> str:
    return titles.get(identity, identity)


def _stranded(order: Mapping[str, Any]) -> str:
    gain = order["gain"]
    return (
        f"Engineering first (× {gain['factor']:.2f}; {gain['source']}), then "
        f"{order['units_after']} replicas instead of {order['units_before']}: "
        f"{figures.usd(order['gain_first_usd'])} a month instead of "
        f"{figures.usd(order['commit_first_usd'])}; committing first strands "
        f"{figures.usd(order['per_month_usd'])} a month, "
        f"{figures.usd(order['over_term_usd'])} over the term."
    )


def _what_ifs(cases: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Grid:
    return Grid(
        columns=("if", "this plan, a month", "cheapest then", "a month"),
        rows=tuple(
            (
                _WHAT_IFS.get(case["id"], case["id"]),
                _month(case["usd_per_month"], case["p95_usd_per_month"]),
                _name(titles, case["best"]),
                figures.usd(case["best_usd_per_month"]),
            )
            for case in cases
        ),
    )


def _month(usd: float, p95_usd: float) -> str:
    return f"{figures.usd(usd)} (p95 {figures.usd(p95_usd)})"

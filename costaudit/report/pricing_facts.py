"""What an advice on ways to pay stands on, as (label, figure, note) rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures
from costaudit.report.fact_rows import Fact

if TYPE_CHECKING:
    from collections.abc import Mapping


def pricing_facts(pricing: Mapping[str, Any]) -> list[Fact]:
    """Demand, capacity, need, unit costs, draws and regret."""
    demand, capacity, need = pricing["demand"], pricing["capacity"], pricing["need"]
    rejected = sum(entry["rows"] for entry in demand.get("rejected", ()))
    facts = [
        Fact(
            label="Demand",
            text=f"{figures.significant(demand['prompt_tokens'])} prompt and "
            f"{figures.significant(demand['output_tokens'])} output tokens",
            note=f"{_span(demand['days'])} in windows of {figures.duration(demand['window_s'])}; "
            f"{figures.percent(demand['missing_share'])} without a record; "
            f"{figures.count(rejected)} rows rejected",
        ),
        Fact(
            label="One replica",
            text=f"{figures.significant(capacity['prefill_tokens_per_s'])} prompt tokens/s or "
            f"{figures.significant(capacity['decode_tokens_per_s'])} output tokens/s",
            note=f"interference {capacity['interference']:.2f}, utilization at most "
            f"{figures.percent(capacity['utilization_share'])}, "
            f"{figures.percent(capacity['cached_share'])} of the prompt from cache, "
            f"bound by {capacity['binding']}; {capacity['origin']}",
        ),
        Fact(
            label="Replicas needed",
            text=f"{figures.significant(need['mean_replicas'])} on average, at most "
            f"{figures.count(need['most_replicas'])}",
        ),
    ]
    facts += [Fact(label="Capacity", text=figures.sentence(n)) for n in capacity.get("notes", ())]
    history = pricing["history"]
    return [*facts, *_unit_costs(pricing.get("unit_costs")), *_draws(history), *_regret(history)]


def _span(days: float) -> str:
    return f"{days:.1f} days" if days >= 1 else f"{24 * days:.1f} hours"


def _unit_costs(units: Mapping[str, Any] | None) -> list[Fact]:
    if units is None:
        return []
    loaded = (units.get("loaded_usd_per_1m_prefill"), units.get("loaded_usd_per_1m_decode"))
    idle = figures.percent(units["idle_usd"] / units["bill_usd"]) if units["bill_usd"] else ""
    return [
        Fact(
            label="A million tokens, own replicas",
            text=f"{figures.usd(loaded[0])} computed prompt, {figures.usd(loaded[1])} output",
            note=f"idle included ({idle} of the bill); without it "
            f"{figures.usd(units['usd_per_1m_prefill'])} and "
            f"{figures.usd(units['usd_per_1m_decode'])}",
        )
    ]


def _draws(history: Mapping[str, Any]) -> list[Fact]:
    if "draws" not in history:
        return []
    return [
        Fact(
            label="Months drawn",
            text=figures.count(history["draws"]),
            note=f"whole days of the history; level ± {figures.percent(history['level_sigma'])}, "
            f"{history['level_sigma_origin']}; prices: {', '.join(history['price_scenarios'])}",
        )
    ]


def _regret(history: Mapping[str, Any]) -> list[Fact]:
    regret = history.get("regret")
    if regret is None:
        return []
    return [
        Fact(
            label="Chosen on the past, paid in the future",
            text=f"{figures.percent(regret['regret_share'])} dearer than the best choice",
            note=f"no commitment {figures.percent(regret['uncommitted_share'])}, the peak "
            f"committed {figures.percent(regret['peak_share'])} dearer; "
            f"{regret['parts']} part(s) of {regret['part_days']:.1f} days",
        )
    ]


def amount(value: float, unit: str) -> str:
    """A figure that was assumed, in its unit."""
    if unit == "share":
        return figures.percent(value)
    return figures.significant(value, f" {unit}" if unit else "")


def price_fact(price: Mapping[str, Any]) -> Fact:
    """One price with its source, its date and whether it is stale."""
    usd = price.get("usd_per_device_h", price.get("usd"))
    unit = (price.get("unit") or "usd_per_device_h").removeprefix("usd_per_").replace("_", " ")
    age = f"as of {price['as_of']}" + (", stale" if price["stale"] else "")
    parts = (price["source"], age, price.get("note"))
    return Fact(
        label=price.get("id", "price"),
        text=f"{figures.usd(usd)} per {unit}",
        note="; ".join(part for part in parts if part),
    )

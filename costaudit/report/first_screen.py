"""The first screen: the verdict in one sentence, and the bill today and after the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.report import bill_rows, figures
from costaudit.report.capture_rows import capture_verdict
from costaudit.report.step_rows import path_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """One figure of the bill, with its name and what is to be known of it."""

    name: str
    text: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstScreen:
    """What a reader sees before anything else."""

    verdict: str
    amounts: tuple[Amount, ...]


def first_screen(document: Mapping[str, Any], slices: Sequence[bill_rows.SliceRow]) -> FirstScreen:
    """The verdict and the figures beside the waterfall."""
    verdict = capture_verdict(document) or _verdict(document, slices)
    return FirstScreen(verdict=verdict, amounts=_amounts(document))


def _verdict(document: Mapping[str, Any], slices: Sequence[bill_rows.SliceRow]) -> str:
    """One sentence: what a million tokens costs, what of it is waste, what the plan leaves."""
    bill, path = document["bill"], document["order"].get("best_path") or []
    cost = figures.per_million(bill["usd_per_1m_tokens"], bill.get("gpu_s_per_1m_tokens"))
    paid = f"A million tokens costs {cost}, {_wasted(slices)} of it waste with a name"
    if not path:
        return f"{paid}; no step of the playbook is sure to lower it."
    steps = "one step brings" if len(path) == 1 else f"{_number(len(path))} steps bring"
    return f"{paid}; {steps} it to {path_cost(path[-1])}."


def _wasted(slices: Sequence[bill_rows.SliceRow]) -> str:
    """The part that is waste; the model may count more than was paid."""
    waste = bill_rows.shares_by_kind(slices)[bill_rows.WASTE]
    if not bill_rows.ideal_is_known(slices):
        return "an unknown part"
    return "all" if waste > 1 else figures.percent(waste)


def _amounts(document: Mapping[str, Any]) -> tuple[Amount, ...]:
    """Today's bill, the bill after the plan, and the month where the demand is known."""
    today, after, month = _today(document), _after(document), _month(document)
    return tuple(amount for amount in (today, after, month) if amount is not None)


def _today(document: Mapping[str, Any]) -> Amount:
    bill = document["bill"]
    dollars = bill["usd_per_1m_tokens"] is not None
    key = "usd_per_1m_tokens_interval" if dollars else "gpu_s_per_1m_tokens_interval"
    between = figures.interval(bill.get(key), dollars=dollars)
    return Amount(
        name="today, per 1M tokens",
        text=figures.per_million(bill["usd_per_1m_tokens"], bill.get("gpu_s_per_1m_tokens")),
        note=between,
    )


def _after(document: Mapping[str, Any]) -> Amount | None:
    path, joint = document["order"].get("best_path") or [], document["order"].get("joint")
    if not path or joint is None:
        return None
    last, saved = path[-1], figures.percent_range(joint["low_share"], joint["high_share"])
    text = figures.per_million(last["usd_per_1m"], last["gpu_s_per_1m_tokens"])
    between = "" if path_cost(last) == text else f"{path_cost(last)}; "
    return Amount(
        name="after the plan",
        text=text,
        note=f"{between}saves {saved}",
    )


def _month(document: Mapping[str, Any]) -> Amount | None:
    """The advised way to pay for the demand of a traffic log; None without one."""
    pricing = document["pricing"]
    best = next((o for o in pricing["options"] if o["id"] == pricing["best"]), None)
    if best is None or "demand" not in pricing:
        return None
    month = best["usd_per_month"]
    return Amount(
        name="a month, as advised",
        text=figures.usd(month["mean"]),
        note=f"{best['title']}; {figures.usd(month['p95'])} in one of twenty",
    )


def _number(count: int) -> str:
    return _WORDS[count] if count < len(_WORDS) else str(count)

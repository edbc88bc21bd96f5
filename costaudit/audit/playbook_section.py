"""The document's sections on what to do: the playbook's steps and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.bill.slices import Bill
    from costaudit.plan.plan import Order, Plan, PlannedStep, Saving
    from costaudit.playbook.load import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Today's cost per 1M tokens, on which the plan's shares are taken; dollars may be unknown."""

    usd: float | None
    gpu_s: float

    @classmethod
    def of(cls, bill: Bill) -> Present:
        """From the bill: what was paid, not what the model says of it."""
        return cls(usd=bill.usd_per_1m_whole, gpu_s=bill.gpu_s_per_1m_tokens)


def playbook_section(
    plan: Plan, entries: Sequence[Entry], *, present: Present, engine: str
) -> list[dict[str, Any]]:
    """Every step of the playbook: those of the best order first."""
    by_id = {entry.step.id: entry for entry in entries}
    taken = [by_id[step_id].step for step_id in plan.best.ids]
    return [
        _step(planned, by_id[planned.id], present, engine)
        | {"needed_by": [step.id for step in taken if planned.id in step.requires]}
        for planned in plan.steps
    ]


def _step(planned: PlannedStep, entry: Entry, present: Present, engine: str) -> dict[str, Any]:
    step = entry.step
    text = step.snippets.get(engine)
    return {
        "id": step.id,
        "title": step.title,
        "category": step.category,
        "verdict": str(planned.verdict),
        "rank": planned.rank,
        "saving": saving_section(planned.standalone, present),
        "marginal": saving_section(planned.marginal, present),
        "evidence": [
            {"what": e.what, "value": e.value, "unit": e.unit, "where": e.where}
            for e in planned.evidence
        ],
        "snippet": {"engine": engine, "text": text} if text else None,
        "effort": str(step.effort),
        "risk": str(step.risk),
        "confidence": str(step.confidence),
        "why_not": planned.why_not or None,
        "sources": [entry.page.sections["Sources"]],
        "page": "\n\n".join(f"{name}: {text}" for name, text in entry.page.sections.items()),
    }


def saving_section(saving: Saving | None, present: Present) -> dict[str, float | None] | None:
    """A saving as shares of today's bill, and in dollars where a price is known."""
    if saving is None:
        return None
    usd = present.usd
    return {
        "low_share": saving.share.low,
        "high_share": saving.share.high,
        "usd_per_1m_low": None if usd is None else saving.share.low * usd,
        "usd_per_1m_high": None if usd is None else saving.share.high * usd,
    }


def order_section(plan: Plan, present: Present) -> dict[str, Any]:
    """The best order, and the conventional ones priced beside it."""
    return {
        "best": list(plan.best.ids),
        "best_path": [
            _path_point(step_id, saved, cost / plan.best.cautious_path[0], present)
            for step_id, saved, cost in zip(
                plan.best.ids, plan.cumulative, plan.best.cautious_path[1:], strict=True
            )
        ],
        "alternatives": [],
        "conventional": [_order(order, present) for order in plan.conventional],
        "joint": saving_section(plan.joint, present),
        "why": "searched over the sets of the steps that apply: all of them up to eight steps,"
        " a beam above; costs are the cautious ends, after each step in turn",
    }


def _path_point(step_id: str, saved: Saving, cautious: float, present: Present) -> dict[str, Any]:
    """What is left after a step: where each change brings its least, and the whole interval."""
    left, usd = saved.share, present.usd
    return {
        "id": step_id,
        "usd_per_1m": None if usd is None else cautious * usd,
        "gpu_s_per_1m_tokens": cautious * present.gpu_s,
        "usd_per_1m_interval": None
        if usd is None
        else {"low": (1 - left.high) * usd, "high": (1 - left.low) * usd},
    }


def _order(order: Order, present: Present) -> dict[str, Any]:
    shares = [cost / order.cautious_path[0] for cost in order.cautious_path]
    return {
        "name": order.name,
        "ids": list(order.ids),
        "usd_per_1m": None if present.usd is None else shares[-1] * present.usd,
        "gpu_s_per_1m_tokens": shares[-1] * present.gpu_s,
        "usd_path": [None if present.usd is None else s * present.usd for s in shares[1:]],
        "gpu_s_path": [share * present.gpu_s for share in shares[1:]],
    }

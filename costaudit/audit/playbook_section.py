"""The document's section on what to do: the playbook's steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.bill.slices import Bill
    from costaudit.plan.bounds import Breach
    from costaudit.plan.plan import Plan, PlannedStep, Saving
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
        | _stranded(planned, plan, present)
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
        "breaks": [breach_section(breach) for breach in planned.breaks],
        "sources": [entry.page.sections["Sources"]],
        "page": "\n\n".join(f"{name}: {text}" for name, text in entry.page.sections.items()),
    }


def _stranded(planned: PlannedStep, plan: Plan, present: Present) -> dict[str, Any]:
    """Of a commitment: engineering first, commit after; nothing of other steps."""
    found = planned.stranded
    if found is None:
        return {}
    shares = [cost / plan.present_cost for cost in (found.commit_first, found.engineering_first)]
    usd, gpu_s = present.usd, present.gpu_s
    return {
        "stranded": {
            name: {
                "usd_per_1m": None if usd is None else share * usd,
                "gpu_s_per_1m_tokens": share * gpu_s,
            }
            for name, share in zip(("commit_first", "engineering_first"), shares, strict=True)
        }
        | {"term": found.term}
    }


def breach_section(breach: Breach) -> dict[str, Any]:
    """A bound of the SLO and the p95 that is over it."""
    return {
        "what": breach.what,
        "after": breach.after,
        "p95_s": breach.seconds,
        "slo_s": breach.bound_s,
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

"""The playbook and the orders as rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EFFORT = {"flag": "a flag", "days": "days", "weeks": "weeks", "contract": "a contract"}
_RISK = {
    "none": "no risk",
    "latency": "risk: latency",
    "quality": "risk: quality",
    "commitment": "risk: commitment",
}
_CONFIDENCE = {
    "measured": "measured here",
    "simulated": "simulated from this target's fit",
    "modelled": "modelled from specifications",
    "literature": "from literature",
}
_VERDICT = {
    "applies": "applies",
    "does-not-apply": "does not apply",
    "cannot-tell": "cannot tell",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step of the playbook, in words."""

    id: str
    title: str
    category: str
    verdict: str
    rank: str
    alone: str  # saving on today's bill, both ends
    alone_usd: str
    saves: bool  # anything at all after those before it
    needed_by: str  # titles of the steps of the best order that need it
    added: str  # saving after those before it, both ends
    added_usd: str
    after: str  # the bill after this step and those before it
    evidence: tuple[str, ...]
    engine: str
    snippet: str
    setting: str  # the snippet's first line that does something
    needs: str  # titles of the steps without which this one cannot be taken
    not_when: str
    verify: str  # what is to be seen once it is in place
    effort: str
    risk: str
    confidence: str
    why_not: str
    sources: tuple[str, ...]
    stranded: str  # of a commitment: engineering first, commit after


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """One order of steps with what the bill comes to after each; `path` is for drawing."""

    name: str
    best: bool
    steps: tuple[tuple[str, str], ...]  # title of the step, cost after it
    cost: str
    path: tuple[float, ...]  # cost after each step, begins with today's
    breaks: str = ""  # bounds of the SLO that it breaks, and after which step


def step_rows(document: Mapping[str, Any]) -> tuple[list[StepRow], list[StepRow]]:
    """(steps that apply, by rank; steps that do not or cannot be judged)."""
    after = {p["id"]: path_cost(p) for p in document["order"].get("best_path", ())}
    entries = sorted(document["playbook"], key=lambda e: (e["rank"] is None, e["rank"] or 0))
    titles = {e["id"]: e["title"] for e in entries}
    rows = [_step(e, after, titles, _needed(e["id"], entries)) for e in entries]
    ranked = [row for row in rows if row.verdict == _VERDICT["applies"]]
    return ranked, [row for row in rows if row.verdict != _VERDICT["applies"]]


def _needed(identity: str, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    return [e["id"] for e in entries if identity in e.get("needed_by", ())]


def _page(text: str) -> dict[str, str]:
    """The sections of a step's page by title."""
    parts = (part.partition(": ") for part in text.split("\n\n"))
    return {title: " ".join(body.split()) for title, colon, body in parts if colon}


def code_lines(snippet: str) -> list[str]:
    """The lines of a snippet that do something."""
    lines = [line.strip() for line in snippet.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def order_rows(document: Mapping[str, Any]) -> list[OrderRow]:
    """The best order first, then the conventional ones and the alternatives."""
    order, bill = document["order"], document["bill"]
    titles = {e["id"]: e["title"] for e in document["playbook"]}
    best = order.get("best_path", [])
    dollars = bill["usd_per_1m_tokens"] is not None
    today = bill["usd_per_1m_tokens"] if dollars else bill.get("gpu_s_per_1m_tokens")
    rows = []
    if best:
        costs = [p["usd_per_1m"] if dollars else p["gpu_s_per_1m_tokens"] for p in best]
        ids = [p["id"] for p in best]
        row = _order("best order found", ids, costs, titles, today, dollars=dollars)
        rows.append(replace(row, breaks=broken(order.get("best_breaks", ()))))
    for entry in (*order["conventional"], *order["alternatives"]):
        costs = entry.get("usd_path" if dollars else "gpu_s_path") or []
        name = entry.get("name") or "another order"
        row = _order(name, entry["ids"], costs, titles, today, dollars=dollars)
        rows.append(replace(row, breaks=broken(entry.get("breaks", ()))))
    return rows


def _order(
    name: str,
    ids: Sequence[str],
    costs: Sequence[float | None],
    titles: Mapping[str, str],
    today: float | None,
    *,
    dollars: bool,
) -> OrderRow:
    texts = [figures.per_million(c if dollars else None, None if dollars else c) for c in costs]
    names = [titles.get(i, i) for i in ids]
    known = [c for c in (today, *costs) if c is not None]
    return OrderRow(
        name=name,
        best=name == "best order found",
        steps=tuple(zip(names, texts, strict=False)),
        cost=texts[-1] if texts else figures.UNKNOWN,
        path=tuple(known) if len(known) == len(costs) + 1 else (),
    )


def _step(
    entry: Mapping[str, Any],
    after: Mapping[str, str],
    titles: Mapping[str, str],
    needed: Sequence[str],
) -> StepRow:
    snippet = entry["snippet"] or {"engine": "", "text": ""}
    page = _page(entry.get("page", ""))
    return StepRow(
        id=entry["id"],
        title=entry["title"],
        category=entry["category"],
        verdict=_VERDICT[entry["verdict"]],
        rank="" if entry["rank"] is None else str(entry["rank"]),
        alone=_share(entry["saving"]),
        alone_usd=_dollars(entry["saving"]),
        saves=_is_something(entry["marginal"]),
        needed_by=" and ".join(f"“{titles[i]}”" for i in entry.get("needed_by", ())),
        added=_share(entry["marginal"]),
        added_usd=_dollars(entry["marginal"]),
        after=after.get(entry["id"], ""),
        evidence=tuple(_evidence(e) for e in entry["evidence"]),
        engine=snippet["engine"],
        snippet=snippet["text"],
        setting=next(iter(code_lines(snippet["text"])), ""),
        needs=" and ".join(f"“{titles[i]}”" for i in needed if i in titles),
        not_when=page.get("When it does not", ""),
        verify=page.get("Verify", ""),
        effort=_EFFORT[entry["effort"]],
        risk=_RISK[entry["risk"]],
        confidence=_CONFIDENCE[entry["confidence"]],
        why_not=entry["why_not"] or "",
        sources=tuple(entry.get("sources", ())),
        stranded=_stranded(entry),
    )


def _share(saving: Mapping[str, float] | None) -> str:
    if saving is None:
        return figures.UNKNOWN
    return figures.percent_range(saving["low_share"], saving["high_share"])


def _is_something(saving: Mapping[str, float] | None) -> bool:
    return saving is None or bool(saving["low_share"] or saving["high_share"])


def _dollars(saving: Mapping[str, float | None] | None) -> str:
    if saving is None or saving["usd_per_1m_low"] is None:
        return ""
    return figures.usd_range(saving["usd_per_1m_low"], saving["usd_per_1m_high"])


def _stranded(entry: Mapping[str, Any]) -> str:
    found = entry.get("stranded")
    if not found:
        return ""
    first, after = (
        figures.per_million(cost["usd_per_1m"], cost["gpu_s_per_1m_tokens"])
        for cost in (found["commit_first"], found["engineering_first"])
    )
    term = f" ({found['term']})" if found["term"] else ""
    return (
        f"engineering first, commit after: committed to today, {first} per 1M is paid to the end"
        f" of the term{term} whatever the other steps free; after them {after} is"
    )


def _evidence(entry: Mapping[str, Any]) -> str:
    where = f" ({entry['where']})" if entry["where"] else ""
    return f"{entry['what']}: {figures.figure(entry['value'], entry['unit'])}{where}"


def broken(breaks: Sequence[Mapping[str, Any]]) -> str:
    """Each bound of the SLO with the worst p95 over it and where that stands; "" for none."""
    worst: dict[str, Mapping[str, Any]] = {}
    for breach in breaks:
        if breach["what"] not in worst or breach["p95_s"] > worst[breach["what"]]["p95_s"]:
            worst[breach["what"]] = breach
    return "; ".join(_broken(breach) for breach in worst.values())


def _broken(breach: Mapping[str, Any]) -> str:
    name = breach["what"].removesuffix("_s").upper()
    after = f" after {breach['after']}" if breach["after"] else ""
    return (
        f"{name} p95 {figures.duration(breach['p95_s'])}, SLO"
        f" {figures.duration(breach['slo_s'])}{after}"
    )


def path_cost(point: Mapping[str, Any]) -> str:
    """What is left to pay after a step, both ends where they are known."""
    if bounds := point.get("usd_per_1m_interval"):
        return figures.usd_range(bounds["low"], bounds["high"])
    return figures.per_million(point["usd_per_1m"], point["gpu_s_per_1m_tokens"])

"""The Audit document in words, for every renderer that is not a machine's.

All that needs a number formatted, a row joined or a plural chosen happens here, so that templates
and the console only lay out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.audit.document import why_unknown
from costaudit.report import (
    bill_rows,
    capture_rows,
    counter_rows,
    fact_rows,
    figures,
    first_screen,
    server_rows,
    step_rows,
)
from costaudit.report.folklore_rows import ClaimRow, claim_rows
from costaudit.report.front_rows import front_grid
from costaudit.report.pressure_rows import pressure_facts, ramp_grid
from costaudit.report.stale_prices import StalePrices, stale_prices
from costaudit.report.verified_rows import VerifiedRow, verified_line, verified_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIRST = 3  # steps that stand on the first screen
_WEIGHTS = {
    "random": (
        "The weights are random. Speed and cost do not depend on the values of the weights; "
        "the quality of answers does, and is not judged here."
    ),
    "dummy": (
        "The weights are made up from the architecture alone. Speed and cost do not depend on "
        "their values; the quality of answers does, and is not judged here."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One audit, ready to be laid out; every text is final."""

    model: str
    subtitle: str
    first: first_screen.FirstScreen
    cost: str
    cost_unit: str = "per 1M tokens"
    cost_lines: tuple[str, ...]
    summary: str
    plan_line: str
    warnings: tuple[str, ...]
    stale: StalePrices | None
    slices: list[bill_rows.SliceRow]
    steps: list[step_rows.StepRow]
    other_steps: list[step_rows.StepRow]
    orders: list[step_rows.OrderRow]
    order_note: str
    verified: list[VerifiedRow]
    verified_line: str
    front: fact_rows.Grid | None
    claims: list[ClaimRow]
    capture: capture_rows.Capture | None
    phases: list[fact_rows.PhaseRow]
    counters: list[fact_rows.Fact]
    kv: list[fact_rows.Fact]
    ramp: fact_rows.Grid | None
    pressed: bool  # the ramp is of a server, rung by rung
    server: list[fact_rows.Fact]
    ladder: fact_rows.Grid | None
    workload: list[fact_rows.Fact]
    device: list[fact_rows.Fact]
    target: list[fact_rows.Fact]
    steptime: list[fact_rows.Fact]
    instruments: list[fact_rows.Fact]
    unknown: list[fact_rows.Fact]
    provenance: list[fact_rows.Fact]
    notes: tuple[str, ...]

    @property
    def first_steps(self) -> list[step_rows.StepRow]:
        """What to do first."""
        return self.steps[:FIRST]


def view(document: Mapping[str, Any]) -> View:
    """The words of an Audit document."""
    bill, target = document["bill"], document["target"]
    slices = bill_rows.slice_rows(bill)
    steps, others = step_rows.step_rows(document)
    return View(
        model=target["model"],
        subtitle=_subtitle(document),
        first=first_screen.first_screen(document, slices),
        cost=figures.per_million(bill["usd_per_1m_tokens"], bill.get("gpu_s_per_1m_tokens")),
        cost_lines=tuple(_cost_lines(document)),
        summary=capture_rows.capture_verdict(document) or _summary(document, slices),
        plan_line=_plan_line(document, steps),
        warnings=tuple(_warnings(document)),
        stale=stale_prices(document["pricing"]["prices"], by="source"),
        slices=slices,
        steps=steps,
        other_steps=others,
        orders=step_rows.order_rows(document),
        order_note=document["order"].get("why", ""),
        verified=verified_rows(document),
        verified_line=verified_line(document),
        front=front_grid(document),
        claims=claim_rows(document),
        capture=capture_rows.capture(document),
        phases=fact_rows.phase_rows(document["phases"]),
        counters=counter_rows.counter_facts(document["phases"]),
        **_cache(document["kv_cache"]),
        server=server_rows.server_facts(document),
        ladder=server_rows.ladder_grid(document),
        workload=fact_rows.workload_facts(document["workload"]),
        device=fact_rows.device_facts(document["device"]),
        target=fact_rows.target_facts(target),
        steptime=fact_rows.steptime_facts(document["steptime"]),
        instruments=fact_rows.instrument_facts(document.get("instruments", [])),
        unknown=fact_rows.unknown_facts(document),
        provenance=fact_rows.provenance_facts(document),
        notes=tuple(_notes(document)),
    )


def _cache(kv: Mapping[str, Any]) -> dict[str, Any]:
    facts = [*fact_rows.kv_facts(kv), *pressure_facts(kv)]
    return {"kv": facts, "ramp": ramp_grid(kv), "pressed": "pressure" in kv}


def _subtitle(document: Mapping[str, Any]) -> str:
    target, device, workload = document["target"], document["device"], document["workload"]
    parts = (
        f"{target['engine']} {target['engine_version'] or ''}".strip(),
        f"{device['count'] or '?'} × {device['name'] or 'unknown device'}",
        f"workload {workload.get('probe') or workload.get('trace') or figures.UNKNOWN}",
    )
    return " · ".join(parts)


def _cost_lines(document: Mapping[str, Any]) -> list[str]:
    bill = document["bill"]
    dollars = bill["usd_per_1m_tokens"] is not None
    key = "usd_per_1m_tokens_interval" if dollars else "gpu_s_per_1m_tokens_interval"
    lines = []
    if between := figures.interval(bill.get(key), dollars=dollars):
        lines.append(f"range {between}")
    if dollars and bill["usd_per_1m_input"] is not None and bill["usd_per_1m_output"] is not None:
        entry, output = bill["usd_per_1m_input"], bill["usd_per_1m_output"]
        lines.append(f"input {figures.usd(entry)}, output {figures.usd(output)}")
    if dollars and bill.get("gpu_s_per_1m_tokens") is not None:
        lines.append(figures.significant(bill["gpu_s_per_1m_tokens"], " device-seconds"))
    if bill["usd_per_gpu_h"] is not None:
        lines.append(f"at {figures.usd(bill['usd_per_gpu_h'])} per device-hour")
    if not dollars and not document["steptime"].get("refused"):
        why = why_unknown(document, "bill.usd_per_1m_tokens") or bill.get("why")
        lines.append(f"no dollars: {why or 'no price is known'}")
    return lines


def _summary(document: Mapping[str, Any], slices: Sequence[bill_rows.SliceRow]) -> str:
    sums = bill_rows.shares_by_kind(slices)
    whole = "dollar" if document["bill"]["usd_per_1m_tokens"] is not None else "device-second"
    ideal = bill_rows.ideal_text(slices).replace(figures.UNKNOWN, "an unknown part")
    waste, left = sums[bill_rows.WASTE], sums[bill_rows.OPEN]
    if left < 0:  # within the model's error, or the report says so
        return (
            f"Of each {whole}, {ideal} buys work at the speed of light and the rest is waste with "
            f"a name; the model counts {figures.percent(-left)} more than was paid."
        )
    if not bill_rows.ideal_is_known(slices):
        return (
            f"Of each {whole}, {figures.percent(waste)} is waste with a name or work at the speed "
            f"of light, which cannot be told apart; {figures.percent(left)} is unexplained."
        )
    return (
        f"Of each {whole}, {ideal} buys work at the speed of light, {figures.percent(waste)} is "
        f"waste with a name, {figures.percent(left)} is unexplained."
    )


def _plan_line(document: Mapping[str, Any], steps: Sequence[step_rows.StepRow]) -> str:
    if "capture" in document:
        return f"The playbook was not judged: {document['order']['why']}."
    if not steps:
        return "No step of the playbook applies here as far as it could be judged."
    joint, path = document["order"].get("joint"), document["order"].get("best_path") or []
    if joint is None or not path:
        return f"{len(steps)} steps of the playbook apply."
    together = f"Together, {len(path)} steps in the best order save"
    save = together if len(path) > 1 else "One step saves"
    saved = figures.percent_range(joint["low_share"], joint["high_share"])
    last = step_rows.path_cost(path[-1])
    return f"{save} {saved}; {last} per 1M tokens is left to pay."


def _warnings(document: Mapping[str, Any]) -> list[str]:
    steptime, found = document["steptime"], []
    if steptime.get("refused"):
        why = steptime.get("why") or (
            f"the step-time model is {figures.percent(steptime['error_p50_share'])} off on "
            "probes it has not seen"
        )
        found.append(f"Dollar claims are refused: {why}.".replace("..", "."))
    if text := _WEIGHTS.get(document["target"].get("weights") or ""):
        found.append(text)
    return found


def _notes(document: Mapping[str, Any]) -> list[str]:
    own = document.get("notes", [])
    steptime = document["steptime"].get("notes", [])
    provenance = document.get("provenance", {}).get("notes", [])
    return list(dict.fromkeys([*own, *steptime, *provenance]))

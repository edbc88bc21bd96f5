"""Builds the Audit document of a recording; needs neither the model nor the machine."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from costaudit.audit.ahead import went_on
from costaudit.audit.bill_section import bill_section
from costaudit.audit.capture_audit import KIND as CAPTURE
from costaudit.audit.capture_audit import capture_audit
from costaudit.audit.course_section import course_section
from costaudit.audit.document import SCHEMA
from costaudit.audit.folklore_section import folklore_section
from costaudit.audit.order_section import order_section
from costaudit.audit.playbook_section import Present, playbook_section
from costaudit.audit.pricing_section import pricing_section
from costaudit.audit.provenance import instruments_section, notes, provenance_section
from costaudit.audit.reasons import reasons
from costaudit.audit.scenario import SERVER, repeats
from costaudit.audit.sections import measured_sections
from costaudit.audit.served import served_sources
from costaudit.audit.server_section import server_section
from costaudit.audit.situation import AuditOptions, Judged, read_judged
from costaudit.audit.unknowns import explain
from costaudit.audit.verified_section import verified_section
from costaudit.bill.dollars import device_s_per_1m, usd_per_1m
from costaudit.bill.scaling import scaled
from costaudit.bill.waterfall import build_bill
from costaudit.folklore.claim import Known
from costaudit.ground.stats import Interval
from costaudit.plan.bounds import Worth
from costaudit.plan.search import expected_costs, search
from costaudit.playbook.latency import latencies_s
from costaudit.playbook.load import load
from costaudit.recording.recording import Recording
from costaudit.whatif.serving import load_compiled
from costaudit.whatif.simulate import simulate
from costaudit.whatif.solve import load_solver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from costaudit.audit.ahead import Ahead
    from costaudit.audit.prices import KnownPrice
    from costaudit.bill.slices import Bill
    from costaudit.measure.derive import Derived
    from costaudit.plan.plan import Plan
    from costaudit.playbook.load import Entry
    from costaudit.playbook.step import Situation
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario
    from costaudit.whatif.steptime import StepTime

__all__ = ("AuditOptions", "build_audit")

DRAWS = 8  # of the step times, behind every interval
USUALLY_APPLICABLE = 12  # steps, for the progress bar: more would be unusual


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Everything that the sections are written from."""

    derived: Derived
    step_time: StepTime
    prices: tuple[KnownPrice, ...]
    bill: Bill
    known: Known
    entries: tuple[Entry, ...]
    refused: str  # why dollars are refused; "" where they are not

    @property
    def plan(self) -> Plan:
        """The plan over the playbook."""
        return self.known.plan


def build_audit(
    path: Path,
    *,
    options: AuditOptions,
    tell: Callable[[float], None] | None = None,
    ahead: Ahead | None = None,
) -> dict[str, Any]:
    """The Audit document of the recording at `path`, as `audit.schema.json` describes it.

    `tell` hears how much is done, from 0 to 1, by the scenarios simulated so far; `ahead` reads
    this recording already.

    Raises:
        UsageError: it is no recording.
        InconclusiveError: it holds too little to be audited.
    """
    with Recording.read(path) as recording:
        if recording.meta().get("kind") == CAPTURE:
            return capture_audit(recording, options)
        if ahead is not None:
            _import_libraries(ahead)
        return _recorded(recording, options, tell or (lambda _: None), ahead)


def _import_libraries(ahead: Ahead) -> None:
    """Those that an audit imports sooner or later: now, while the tables are still being read."""
    for load_library in (load_solver, load_compiled):
        if ahead.is_reading():
            load_library()


def _recorded(
    recording: Recording,
    options: AuditOptions,
    tell: Callable[[float], None],
    ahead: Ahead | None,
) -> dict[str, Any]:
    """The document of a target that was probed."""
    tables = ahead.tables() if ahead is not None else None
    joined = _join(read_judged(recording, options, tables), options, tell)
    metrics = joined.derived.metrics
    document = _document(joined)
    if metrics.target.kind == SERVER:
        document["server"] = server_section(recording)
    course = ahead.course() if ahead is not None else went_on(recording)
    document["course"] = course_section(recording, course)
    document["instruments"] = instruments_section(recording)
    document["provenance"] = provenance_section(
        recording, metrics.target, metrics, joined.derived.requests
    )
    drawn, why = _drawn(joined.derived)
    document["workload"] |= drawn
    document["notes"] = why + notes(recording, metrics, joined.step_time)
    document |= verified_section(recording.path, metrics)
    document["unknown"] = explain(document, reasons(document, metrics.unknown))
    return document


def _join(judged: Judged, options: AuditOptions, tell: Callable[[float], None]) -> Joined:
    situation, entries = judged.situation, load()
    return Joined(
        derived=replace(judged.derived, metrics=situation.metrics),
        step_time=judged.step_time,
        prices=judged.prices,
        bill=_bill(judged.derived, situation.scenario, situation.outcome),
        known=Known(
            situation=situation,
            plan=_plan(entries, situation, tell),
            steps=tuple(entry.step for entry in entries),
            today=options.today or dt.datetime.now(dt.UTC).date(),
        ),
        entries=entries,
        refused=judged.refused,
    )


def _bill(derived: Derived, scenario: Scenario, outcome: Outcome) -> Bill:
    """The bill of the recorded window once; the scenario repeats it to a steady length.

    Of a long window the scenario holds a part of the tokens, and is billed for that part.
    """
    metrics = derived.metrics
    times = repeats(metrics, derived.requests) * derived.drawn_share
    paid, mean_s = metrics.paid_device_s, metrics.paid_mean_s
    bill = build_bill(
        scenario,
        outcome,
        paid_device_s=Interval(low=paid.low * times, high=paid.high * times),
        whole_device_s=None if mean_s is None else mean_s * times,
        sources=served_sources(metrics, scenario.step_time),
    )
    if derived.drawn_share >= 1:
        return scaled(bill, times)
    counted = metrics.workload
    return replace(
        scaled(bill, times),
        prompt_tokens=round(counted.prompt_tokens["mean"] * counted.requests),
        output_tokens=round(counted.output_tokens["mean"] * counted.requests),
    )


def _drawn(derived: Derived) -> tuple[dict[str, Any], list[str]]:
    """How many requests stand for a long window; nothing where all were simulated."""
    count, every = len(derived.requests), derived.metrics.workload.requests
    if derived.drawn_share >= 1:
        return {}, []
    note = (
        f"Of {every:,} requests {count:,} were simulated ({derived.drawn_share:.2g} of the tokens,"
        " batches of every size as often as they come): the slices of the bill and the plan stand"
        " on these. Tokens, latencies, device time and the cost per 1M tokens are of all."
    )
    return {"drawn": {"requests": count, "share": derived.drawn_share}}, [note]


def _plan(entries: tuple[Entry, ...], situation: Situation, tell: Callable[[float], None]) -> Plan:
    priced = situation.scenario.prices.usd_per_device_h is not None
    expected = expected_costs(min(len(entries), USUALLY_APPLICABLE), DRAWS)
    done = count(1)

    def price(changed: Scenario) -> Worth:
        tell(min(next(done) / expected, 1.0))
        outcome = simulate(changed)
        usd = usd_per_1m(changed, outcome) if priced else None
        cost = device_s_per_1m(changed, outcome) if usd is None else usd
        return Worth(cost=cost, latency_s=latencies_s(outcome))

    return search(
        [entry.step for entry in entries],
        situation,
        price=price,
        draws=DRAWS,
        unit="usd" if priced else "device_s",
    )


def _document(joined: Joined) -> dict[str, Any]:
    present = Present.of(joined.bill)
    why = joined.refused or ("" if joined.prices else "no price is known for this device")
    engine = joined.derived.metrics.target.engine
    return {
        "schema": SCHEMA,
        **measured_sections(joined.derived.metrics),
        "steptime": {
            "terms": dict(joined.step_time.coefficients),
            "error_p50_share": joined.step_time.error_p50_share,
            "error_p90_share": joined.step_time.error_p90_share,
            "refused": bool(joined.refused),
            "why": joined.refused,
            "fitted_points": joined.step_time.fitted_points,
            "held_out_points": joined.step_time.held_out_points,
            "notes": list(joined.step_time.notes),
        },
        "bill": bill_section(joined.bill, paid=joined.derived.metrics.paid_device_s, why=why),
        "playbook": playbook_section(joined.plan, joined.entries, present=present, engine=engine),
        "order": order_section(joined.plan, present),
        "folklore": folklore_section(joined.known),
        "pricing": pricing_section(joined.prices, why),
        "unknown": [],
    }

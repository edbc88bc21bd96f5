"""The playbook's pages, the workloads and the doctor's findings as plain text of 80 columns."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.playbook.load import Entry
    from costaudit.probe.lengths import Lengths
    from costaudit.probe.workload import Workload
    from costaudit.record.doctor import Check

_WIDTH = 80
_INDENT = "    "


def steps_text(entries: Sequence[Entry]) -> str:
    """One line per step, and how to read more."""
    wide = max((len(e.step.id) for e in entries), default=0)
    lines = []
    for entry in entries:
        lead = f"{entry.step.id:<{wide}}  "
        tail = f"{entry.step.title} ({entry.step.effort}, risk: {entry.step.risk})"
        lines.append(_filled(tail, first=lead, rest=" " * len(lead)))
    lines += ["", "`costaudit steps ID` prints a step's page."]
    return "\n".join(lines) + "\n"


def step_page(entry: Entry) -> str:
    """The page of one step with its snippets."""
    step = entry.step
    kind = f"{step.id}: {step.category}; effort {step.effort}; risk {step.risk}"
    lines = [entry.page.title, "", f"{kind}; evidence {step.confidence}"]
    for name, text in entry.page.sections.items():
        lines += ["", name, _filled(text, first=_INDENT, rest=_INDENT)]
    for engine, snippet in step.snippets.items():
        lines += ["", f"With {engine}", textwrap.indent(snippet.rstrip(), _INDENT)]
    return "\n".join(lines) + "\n"


def step_facts(entry: Entry) -> dict[str, Any]:
    """The same for a machine."""
    step = entry.step
    return {
        "id": step.id,
        "title": step.title,
        "category": step.category,
        "effort": str(step.effort),
        "risk": str(step.risk),
        "confidence": str(step.confidence),
        "requires": list(step.requires),
        "excludes": list(step.excludes),
        "snippets": dict(step.snippets),
        "page": {"title": entry.page.title, **entry.page.sections},
    }


def probes_text(workloads: Sequence[Workload]) -> str:
    """One line per workload, and how to read more."""
    wide = max((len(w.name) for w in workloads), default=0)
    lines = [
        _filled(w.stands_for, first=f"{w.name:<{wide}}  ", rest=" " * (wide + 2)) for w in workloads
    ]
    lines += ["", "`costaudit probes NAME` prints one; copy its TOML file to make your own."]
    return "\n".join(lines) + "\n"


def probe_page(workload: Workload) -> str:
    """One workload: what it stands for, its lengths, load and service levels, with the reasons."""
    slo = workload.slo
    load = (
        f"{workload.concurrency} users wait for each other's answers"
        if workload.concurrency is not None
        else f"{figures.significant(workload.requests_per_s)} requests per second"
    )
    prefix = "none"
    if workload.prefix:
        prefix = f"{workload.prefix.share_tokens} tokens, {workload.prefix.groups} different ones"
    rows = {
        "Stands for": workload.stands_for,
        "Why": workload.why,
        "Prompts": f"{_lengths(workload.prompt_tokens)} tokens",
        "Outputs": f"{_lengths(workload.output_tokens)} tokens",
        "Shared prefix": prefix,
        "Load": f"{workload.requests} requests, {load}",
        "SLO": f"TTFT {_promise(slo.ttft_s)}, ITL {_promise(slo.itl_s)}. {slo.why}",
    }
    return "\n".join([workload.name, "", *(_row(k, v, 15) for k, v in rows.items())]) + "\n"


def workload_facts(workload: Workload) -> dict[str, Any]:
    """The same for a machine."""
    return asdict(workload)


def doctor_text(checks: Sequence[Check]) -> str:
    """What can be measured here, what not, and what would help."""
    wide = max((len(c.what) for c in checks), default=0)
    lines = []
    for check in checks:
        lead = f"{check.state:<8} {check.what:<{wide}}  "
        lines.append(_filled(check.detail, first=lead, rest=" " * len(lead)))
        if check.would_help:
            indent = " " * len(lead)
            helps = f"would help: {check.would_help}"
            lines.append(_filled(helps, first=indent, rest=indent))
    return "\n".join(lines) + "\n"


def check_facts(check: Check) -> dict[str, Any]:
    """The same for a machine."""
    return asdict(check)


def _row(label: str, text: str, wide: int) -> str:
    return _filled(text, first=f"{label:<{wide}}", rest=" " * wide)


def _filled(text: str, *, first: str, rest: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width=max(_WIDTH, len(rest) + 30),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lengths(lengths: Lengths) -> str:
    if lengths.low == lengths.high:
        return figures.count(lengths.low)
    middle = f", median {figures.count(lengths.median)}" if lengths.median else ""
    return (
        f"{lengths.distribution} from {figures.count(lengths.low)} to "
        f"{figures.count(lengths.high)}{middle}"
    )


def _promise(seconds: float | None) -> str:
    return "without a promise" if seconds is None else f"within {figures.duration(seconds)}"

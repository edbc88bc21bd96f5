"""JUnit XML, as Jenkins, GitLab and most others read it: a test case per line of the budget."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from costaudit.gate.budget import Severity
from costaudit.gate.rows import rows
from costaudit.gate.verdict import Result

if TYPE_CHECKING:
    from costaudit.gate.decision import Decision
    from costaudit.gate.rows import Row

SUITE = "costaudit gate"
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


def junit(decision: Decision) -> str:
    """Broken is a failure, undecided an error (skipped where it only warns), a warning skipped."""
    cases = [_case(row, decision) for row in rows(decision)]
    counts = {
        kind: sum(case.find(kind) is not None for case in cases)
        for kind in ("failure", "error", "skipped")
    }
    totals: dict[str, str] = {
        "tests": str(len(cases)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
    }
    top = ET.Element("testsuites", {"name": SUITE, **totals})
    suite = ET.SubElement(
        top, "testsuite", {"name": SUITE, "skipped": str(counts["skipped"]), **totals}
    )
    suite.extend(cases)
    if decision.notes:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(decision.notes))
    ET.indent(top)
    return ET.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _case(row: Row, decision: Decision) -> ET.Element:
    case = ET.Element("testcase", name=_clean(row.name), classname=SUITE, time="0")
    kind = _kind(row, decision)
    if kind:
        told = ET.SubElement(case, kind, message=_clean(row.sentence))
        if kind != "skipped":
            told.set("type", str(row.result))
        told.text = _clean("\n".join([*row.notes, *_about(row)]))
    else:
        ET.SubElement(case, "system-out").text = _clean("\n".join([row.sentence, *row.notes]))
    return case


def _kind(row: Row, decision: Decision) -> str:
    if row.result is Result.PASSED:
        return ""
    if row.severity is Severity.WARN or (row.result is Result.INCONCLUSIVE and decision.warn):
        return "skipped"
    return "failure" if row.result is Result.BROKEN else "error"


def _about(row: Row) -> list[str]:
    return [
        *([f"limit set because {row.reason}"] if row.reason else []),
        *([f"ask {row.owner}"] if row.owner else []),
    ]


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)

"""What CI systems are given: golden files, and each form as a real consumer reads it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sides import line, observed

from costaudit.contrast.split import split
from costaudit.gate.budget import Limit, Severity
from costaudit.gate.decision import Decision
from costaudit.gate.forms.github import MOST_COMMENT_CHARACTERS, STICKY, commands, markdown
from costaudit.gate.forms.gitlab import code_quality, metrics
from costaudit.gate.forms.junit import junit
from costaudit.gate.forms.sarif import sarif
from costaudit.gate.forms.write import FORMS
from costaudit.gate.rows import rows
from costaudit.gate.shift import judge_margins, of_recordings
from costaudit.gate.verdict import Result, judge
from costaudit.gate.words import gate_text

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "report" / "sample_audit.json"
EVIL = 'a|b <script>*x* @you %0A::error::x,"\n\x00\x1b[31m]]>`'


def limit(metric, *, place, low=float("-inf"), high=float("inf"), severity=Severity.ERROR):
    return Limit(
        metric=metric,
        low=low,
        high=high,
        severity=severity,
        owner="platform",
        reason="the contract says so",
        line=place,
    )


def decided(**changes):
    """One line of every kind and result."""
    base = observed(usd_per_device_h=1.6)
    counters = base.counters | {"computed_tokens": 330.0}
    new = observed(1.3, counters=counters, latencies_s={"itl_p95_s": 0.021})
    limits = [
        limit("usd_per_1m_tokens", high=0.7, place=3),
        limit("decode_mbu", low=0.9, severity=Severity.WARN, place=8),
        limit("itl_p99_s", high=0.1, place=13),
        limit("kv_waste_share", high=0.1, place=18),
    ]
    margins = [
        line("usd_per_1m_tokens", margin=0.1, place=23),
        line("computed_tokens", margin=0, place=28),
        line("itl_p95_s", margin=0.05, severity=Severity.WARN, place=33),
        line("preemptions", margin=0, place=38),
    ]
    decision = Decision(
        budget="ci/budget.toml",
        verdicts=judge(json.loads(SAMPLE.read_text(encoding="utf-8")), limits),
        shifts=judge_margins(of_recordings([base], [new]), margins),
        split=split([base], [new]),
        notes=("changed since the baseline: torch: 2.6 before, 2.7 now",),
    )
    return replace(decision, **changes)


def evil():
    limits = [limit("usd_per_1m_tokens", high=0.1, place=1)]
    document = json.loads(SAMPLE.read_text(encoding="utf-8"))
    (verdict,) = judge(document, limits)
    spoilt = replace(verdict.limit, metric=EVIL, owner=EVIL, reason=EVIL)
    return Decision(budget="a,b:c%.toml", verdicts=(replace(verdict, limit=spoilt),), notes=(EVIL,))


GOLDEN = {
    "gate.txt": gate_text,
    "gate.junit.xml": junit,
    "gate.md": markdown,
    "gate.commands.txt": commands,
    "gate.sarif.json": sarif,
    "gate.metrics.txt": metrics,
    "gate.codequality.json": code_quality,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    """COSTAUDIT_GOLDEN=1 writes them anew."""
    path, text = HERE / "golden" / name, GOLDEN[name](decided())
    if os.environ.get("COSTAUDIT_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_the_sample_holds_every_result_of_every_kind():
    decision = decided()
    assert {v.result for v in decision.verdicts} == set(Result)
    assert {s.result for s in decision.shifts} == set(Result)
    assert decision.exit_code == 1


@pytest.mark.parametrize("decision", [decided(), decided(warn=True), evil()])
def test_junit_as_its_readers_take_it(decision):
    junitparser = pytest.importorskip("junitparser")
    read = junitparser.JUnitXml.fromstring(junit(decision).encode())
    told = rows(decision)
    (suite,) = list(read)
    assert (suite.tests, len(list(suite))) == (len(told), len(told))
    failures = sum(r.result is Result.BROKEN and r.severity is Severity.ERROR for r in told)
    undecided = sum(r.result is Result.INCONCLUSIVE and r.severity is Severity.ERROR for r in told)
    assert suite.failures == failures
    assert suite.errors == (0 if decision.warn else undecided)
    passed = sum(case.is_passed for case in suite)
    assert passed == sum(r.result is Result.PASSED for r in told)


def test_junit_keeps_the_order_of_jenkins_schema():
    """testsuites > testsuite > testcase > (skipped | error | failure), then system-out."""
    from xml.etree import ElementTree as ET

    top = ET.fromstring(junit(decided()).encode())  # noqa: S314 - our own text
    assert top.tag == "testsuites"
    for suite in top:
        assert suite.tag == "testsuite"
        assert {"name", "tests", "failures", "errors"} <= set(suite.attrib)
        tags = [child.tag for child in suite]
        assert tags == sorted(tags, key=["testcase", "system-out"].index)
        for case in suite.iter("testcase"):
            assert {"name", "classname", "time"} == set(case.attrib)
            assert len(case) == 1
            assert case[0].tag in {"skipped", "error", "failure", "system-out"}


@pytest.mark.parametrize("decision", [decided(), decided(warn=True), evil()])
def test_sarif_as_a_model_of_its_schema_takes_it(decision):
    sarif_pydantic = pytest.importorskip("sarif_pydantic")
    read = sarif_pydantic.Sarif.model_validate_json(sarif(decision))
    (run,) = read.runs
    assert len(run.results) == sum(r.result is not Result.PASSED for r in rows(decision))
    rules = {rule.id for rule in run.tool.driver.rules}
    for result in run.results:
        assert result.rule_id in rules
        place = result.locations[0].physical_location
        assert place.region.start_line >= 1
        assert place.artifact_location.uri


def test_sarif_points_at_the_budgets_line():
    results = json.loads(sarif(decided()))["runs"][0]["results"]
    lines = [r["locations"][0]["physicalLocation"]["region"]["startLine"] for r in results]
    assert lines == [r.line for r in rows(decided()) if r.result is not Result.PASSED]
    assert {r["level"] for r in results} == {"error", "note"}
    warned = json.loads(sarif(decided(warn=True)))["runs"][0]["results"]
    assert {r["level"] for r in warned} == {"error", "warning", "note"}


COMMAND = re.compile(
    r"::(error|warning) file=[^,:\r\n]+,line=[1-9]\d*,title=[^,:\r\n]+::(?:[^%\r\n]|%25|%0D|%0A)+"
)


def read_back(text):
    for code, sign in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


@pytest.mark.parametrize("decision", [decided(), decided(warn=True), evil()])
def test_workflow_commands_keep_their_grammar(decision):
    lines = commands(decision).splitlines()
    wanted = [r for r in rows(decision) if r.result is not Result.PASSED]
    assert len(lines) == len(wanted)
    for text, row in zip(lines, wanted, strict=True):
        assert COMMAND.fullmatch(text), text
        assert read_back(text.split("::", 2)[2]).startswith(row.sentence)


def test_markdown_stays_one_table_and_says_nothing_of_its_own():
    text = markdown(evil())
    assert text.startswith(STICKY + "\n")
    table = [row for row in text.splitlines() if row.startswith("|")]
    assert all(re.sub(r"\\.", "", row).count("|") == 5 for row in table)
    assert "<script" not in text
    assert "@you" not in text
    assert not re.search(r"(?<!\\)\*", text)


def test_a_comment_is_cut_before_github_refuses_it():
    text = markdown(decided(notes=("x" * 1000,) * 100))
    assert len(text) <= MOST_COMMENT_CHARACTERS
    assert text.startswith(STICKY)
    assert "cut" in text.splitlines()[-1]


def test_metrics_as_an_openmetrics_parser_takes_them():
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    families = {f.name: f for f in parser.text_string_to_metric_families(metrics(decided()))}
    verdicts = [s.value for s in families["costaudit_verdict"].samples]
    assert verdicts == [
        {Result.PASSED: 0.0, Result.BROKEN: 1.0, Result.INCONCLUSIVE: 3.0}[r.result]
        for r in rows(decided())
    ]
    (usd,) = [
        s.value
        for s in families["costaudit_measured"].samples
        if s.labels["line"] == "usd_per_1m_tokens"
    ]
    assert usd == decided().verdicts[0].value
    list(parser.text_string_to_metric_families(metrics(evil())))


def test_two_lines_of_one_metric_are_two_samples():
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    twice = Decision(budget="b", verdicts=(decided().verdicts[0],) * 2)
    (family, *_) = parser.text_string_to_metric_families(metrics(twice))
    assert [s.labels.get("again", "") for s in family.samples] == ["", "2"]


def test_code_quality_has_what_gitlab_asks_for():
    found = json.loads(code_quality(decided()))
    for issue in found:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert issue["location"]["lines"]["begin"] >= 1
        assert not issue["location"]["path"].startswith("./")
    assert len({issue["fingerprint"] for issue in found}) == len(found)


@given(st.text(max_size=60))
def test_no_name_or_note_breaks_a_form(text):
    decision = evil()
    named = replace(decision.verdicts[0], limit=replace(decision.verdicts[0].limit, metric=text))
    spoilt = replace(decision, verdicts=(named,), notes=(text,))
    from xml.etree import ElementTree as ET

    ET.fromstring(junit(spoilt).encode("utf-8", "replace"))  # noqa: S314 - our own text
    json.loads(FORMS["json"](spoilt))
    assert commands(spoilt).count("\n") == 1

"""Every symptom is tried on its cases, which are data: `cases/<id>.toml`.

A case gives readings of gauges (all lists of one length), growth of counters and of histograms
(`count`, `total`, `edges` as cumulative pairs), settings (`knobs` by the user, `defaults` of the
version) and the answer: "shows", "does not show" or "cannot tell".
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from costaudit.diagnosis.load import load
from costaudit.diagnosis.symptom import CannotTell, Confidence, DoesNotShow, Shows
from costaudit.facts.quantities import Page, Quantity
from costaudit.facts.server_flags import server_flag
from costaudit.measure.window import window_of
from costaudit.playbook.load import load as load_steps
from costaudit.target.target import Origin, Value

FOLDER = Path(__file__).parent / "cases"
ANSWERS = {"shows": Shows, "does not show": DoesNotShow, "cannot tell": CannotTell}
SYMPTOMS = {symptom.id: symptom for symptom in load()}
CASES = [
    (path.stem.replace("_", "-"), case)
    for path in sorted(FOLDER.glob("*.toml"))
    for case in tomllib.loads(path.read_text())["case"]
]


def window(case):
    """The window of a case, by way of pages as they are read from a server."""
    gauges = case.get("gauges", {})
    count = max([len(values) for values in gauges.values()], default=2)
    first, last = {}, {}
    for name, grown in case.get("counters", {}).items():
        first[name], last[name] = total(1000), total(1000 + grown)
    for name, grown in case.get("histograms", {}).items():
        parts = {"count": grown["count"], "sum": grown["total"]}
        parts |= {f"le.{edge}": up_to for edge, up_to in grown.get("edges", [])}
        for part, value in parts.items():
            first[f"{name}.{part}"], last[f"{name}.{part}"] = total(5), total(5 + value)
    seconds = case.get("seconds", 30)
    pages = [
        Page(
            t_s=number * seconds / (count - 1),
            quantities={n: Quantity(value=v[number], unit="") for n, v in gauges.items()}
            | {0: first, count - 1: last}.get(number, {}),
        )
        for number in range(count)
    ]
    knobs = {n: Value(value=v, origin=Origin.GIVEN) for n, v in case.get("knobs", {}).items()}
    defaults = case.get("defaults", {})
    knobs |= {n: Value(value=v, origin=Origin.DEFAULT) for n, v in defaults.items()}
    if case.get("restarted"):
        pages.insert(0, Page(t_s=-10, quantities={"tokens.prompt_total": total(1e9)}))
        pages[1] = Page(t_s=0, quantities=pages[1].quantities | {"tokens.prompt_total": total(0)})
    return window_of(pages, engine=case.get("engine", "vllm"), knobs=knobs)


def total(value):
    return Quantity(value=float(value), unit="", total=True)


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{n}: {c['name']}" for n, c in CASES])
def test_case(name, case):
    answer = SYMPTOMS[name].judge(window(case))
    assert isinstance(answer, ANSWERS[case["expect"]]), answer
    if isinstance(answer, Shows):
        assert answer.evidence
        assert 0 <= answer.cost_share <= 1
        if "confidence" in case:
            assert answer.confidence is Confidence(case["confidence"])


@pytest.mark.parametrize("name", SYMPTOMS)
def test_every_symptom_has_cases_of_each_answer_that_it_can_give(name):
    expected = {case["expect"] for of, case in CASES if of == name}
    never_unclear = {"restarts", "metrics-missing"}
    assert expected >= {"shows", "does not show"} | (
        set() if name in never_unclear else {"cannot tell"}
    )


@pytest.mark.parametrize("symptom", SYMPTOMS.values(), ids=SYMPTOMS)
def test_a_symptom_has_its_page_its_fixes_and_its_steps(symptom):
    module = __import__(symptom.judge.__module__, fromlist=["x"])
    for section in ("Why ", "Signature ", "Not ", "Sources "):
        assert f"\n{section}" in module.__doc__
    steps = {entry.step.id for entry in load_steps()}
    assert set(symptom.steps) <= steps
    engines = symptom.engines or ("vllm", "sglang")
    for action in symptom.actions:
        assert any(server_flag(engine, action) for engine in (*engines, "tgi", "triton")), action
    assert symptom.actions or symptom.advice


def test_nothing_shows_in_an_empty_window():
    for symptom in SYMPTOMS.values():
        if symptom.id != "metrics-missing":
            assert not isinstance(symptom.judge(window({})), Shows), symptom.id

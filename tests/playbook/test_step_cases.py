"""Every step has cases as data: one that applies, one that does not, one that cannot be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from playbook_situation import situation

from costaudit.ground.toml import read_toml
from costaudit.playbook.load import load
from costaudit.playbook.step import Applies, CannotTell, DoesNotApply

HERE = Path(__file__).parent
ENTRIES = {entry.path.stem: entry for entry in load()}
CASES = [
    pytest.param(stem, case, id=f"{stem}: {case['name']}")
    for stem in ENTRIES
    for case in read_toml(HERE / f"{stem}.toml")["case"]
]


@pytest.mark.parametrize(("stem", "case"), CASES)
def test_the_step_answers_as_the_case_expects(stem, case):
    match ENTRIES[stem].step.assess(situation(case)):
        case Applies(evidence=evidence):
            answer, text = "applies", " ".join(e.what for e in evidence)
            assert evidence
            assert all(e.where and e.unit for e in evidence)
            assert all(0 <= e.value <= 1 for e in evidence if e.unit == "share")
        case DoesNotApply(why=why):
            answer, text = "does not apply", why
        case CannotTell(because=because):
            answer, text = "cannot tell", because
    assert answer == case["expect"], text
    assert case.get("says", "") in text


@pytest.mark.parametrize("stem", ENTRIES)
def test_each_step_has_cases_of_all_three_kinds(stem):
    expected = {case["expect"] for case in read_toml(HERE / f"{stem}.toml")["case"]}
    assert expected == {"applies", "does not apply", "cannot tell"}


def test_each_case_file_has_its_step():
    assert {path.stem for path in HERE.glob("*.toml")} == set(ENTRIES)


def test_the_first_six_are_there():
    assert {entry.step.id for entry in ENTRIES.values()} >= {
        "continuous-batching",
        "paged-kv-cache",
        "prefix-caching",
        "weight-quantization",
        "kv-cache-quantization",
        "reserved-capacity",
    }

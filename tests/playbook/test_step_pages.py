"""The docstring is the page, the id is the file's name, and a malformed step is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from costaudit.ground.errors import UsageError
from costaudit.playbook import steps
from costaudit.playbook.load import load
from costaudit.playbook.page import SECTIONS, PageError, parse

ENGINES = {
    "transformers", "vllm", "sglang", "tgi", "trtllm-serve", "triton", "llamacpp", "lmdeploy",
    "ollama",
}  # fmt: skip
ENTRIES = load()
NAMES = [entry.step.id for entry in ENTRIES]
GOOD = (Path(steps.__path__[0]) / "prefix_caching.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_the_page_has_every_section_with_something_in_it(entry):
    assert tuple(entry.page.sections) == SECTIONS
    assert all(len(text) > 40 for text in entry.page.sections.values())
    assert entry.page.title.endswith(".")


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_sources_can_be_found_by_somebody_else(entry):
    assert re.search(r"20\d\d|issue \d+|rule", entry.page.sections["Sources"])


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_the_id_is_a_noun_in_kebab_case_like_the_file(entry):
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", entry.step.id)
    assert entry.step.id == entry.path.stem.replace("_", "-")


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_snippets_are_for_engines_we_know_and_show_something_to_type(entry):
    assert set(entry.step.snippets) <= ENGINES
    assert all(text.strip() for text in entry.step.snippets.values())
    assert entry.step.snippets or entry.step.category == "contract"


def test_only_commitments_come_last():
    assert [entry.step.id for entry in ENTRIES if entry.step.last] == ["reserved-capacity"]


def test_a_page_without_a_section_is_refused_by_name():
    with pytest.raises(PageError, match="the sections are Why it costs, Risk"):
        parse("Title.\n\nWhy it costs  Money.\nRisk  Little.\n")


@pytest.mark.parametrize(
    ("docstring", "message"),
    [
        ("", "no first line"),
        ("Title.\n\nsome text\n", "before the first section"),
        ("Title.\n\nRisk  a\nRisk  b\n", "twice"),
        ("Title.\n\n" + "\n".join(f"{s}  {'' if s == 'Risk' else 'x'}" for s in SECTIONS), "empty"),
    ],
)
def test_a_docstring_that_is_no_page_says_why(docstring, message):
    with pytest.raises(PageError, match=message):
        parse(docstring)


def test_a_folder_of_ones_own_is_read_beside_the_shipped_steps(tmp_path):
    text = GOOD.replace('id="prefix-caching"', 'id="my-own"')
    (tmp_path / "my_own.py").write_text(text, encoding="utf-8")
    (tmp_path / "_draft.py").write_text("not python", encoding="utf-8")
    assert [e.step.id for e in load(tmp_path)] == sorted([*NAMES, "my-own"])


def line_of(text: str, start: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start))


STEP_LINE = line_of(GOOD, "STEP =")


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("Risk              None", "Danger            None", 1, "the sections are"),
        ("STEP = Step(", "STOP = Step(", 1, "STEP is no Step"),
        ("STEP = Step(", "STEP = dict(", STEP_LINE, "STEP is no Step"),
        ('id="prefix-caching"', 'id="prefix"', STEP_LINE, "not the file's name"),
        ("effort=Effort.FLAG", 'effort="flag!"', STEP_LINE, "effort is no Effort"),
        ("change=change", "change=lambda scenario: scenario", STEP_LINE, "2 arguments"),
        ("assess=assess", "assess=change", STEP_LINE, "assess is no function of 1 argument"),
        ('requires=("paged-kv-cache",)', 'requires=("nothing",)', STEP_LINE, "no step 'nothing'"),
        ("del edge", "del edge)", line_of(GOOD, "    del edge"), "unmatched"),
        ("MIN_REPEATED_SHARE = 0.01", "MIN_REPEATED_SHARE = 1 / 0", None, "division by zero"),
    ],
)
def test_a_malformed_step_is_refused_with_file_and_line(tmp_path, before, after, line, message):
    assert before in GOOD
    path = tmp_path / "prefix_caching_too.py"
    text = GOOD.replace(before, after)
    if 'id="prefix"' not in text:
        text = text.replace('id="prefix-caching"', 'id="prefix-caching-too"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load(tmp_path)
    line = line or line_of(text, "MIN_REPEATED_SHARE =")
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert message in caught.value.message
    assert caught.value.hint


def test_two_steps_of_one_id_are_refused(tmp_path):
    (tmp_path / "prefix_caching.py").write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError, match=r"'prefix-caching' is taken by .*prefix_caching\.py"):
        load(tmp_path)


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        load(tmp_path / "nowhere")

"""Console, Markdown and JSON of the synthetic sample and of its variations."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema
import pytest
from sample_documents import VARIANTS, hostile, random_weights, refused, sample, without_dollars

from costaudit.audit.document import schema
from costaudit.ground.errors import UsageError
from costaudit.report.render import Format, format_named, render

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("form", "name"), [(Format.CONSOLE, "sample.console.txt"), (Format.MARKDOWN, "sample.md")]
)
def test_golden(form, name):
    """COSTAUDIT_WRITE_GOLDEN=1 writes them anew; read the difference before you keep it."""
    text = render(sample(), form)
    if os.environ.get("COSTAUDIT_WRITE_GOLDEN") == "1":
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_console_fits_its_width(make, width):
    for line in render(make(), Format.CONSOLE, width=width).splitlines():
        assert len(line) <= width


def test_the_console_needs_no_colour_and_loses_nothing_with_it():
    plain = render(sample(), Format.CONSOLE)
    coloured = render(sample(), Format.CONSOLE, colour=True)
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_the_first_three_steps_stand_before_the_table():
    text = render(sample(), Format.CONSOLE)
    first, table = text.split("Playbook\n")
    for place, step in enumerate(sample()["playbook"][:3], start=1):
        assert f"{place}. {step['title']}" in first
        assert step["id"] in table
    assert sample()["playbook"][3]["title"] not in first


TEXTS = (Format.CONSOLE, Format.MARKDOWN, Format.HTML)


def words(document, form):
    shown = re.sub(r"<script.*?</script>", "", render(document, form), flags=re.DOTALL)
    return " ".join(shown.replace("\\", "").split())


@pytest.mark.parametrize("form", TEXTS)
def test_refused_dollars_are_refused_everywhere_with_the_reason(form):
    text = words(refused(), form)
    assert "Dollar claims are refused" in text
    assert "21 %, above 15 %" in text
    assert "$0" not in text
    assert "797" in text  # device-seconds speak instead


@pytest.mark.parametrize("form", TEXTS)
def test_without_a_price_device_seconds_speak_and_the_reason_is_given(form):
    text = words(without_dollars(sample()), form)
    assert "no price of this device is known" in text
    assert "797 device-s" in text


@pytest.mark.parametrize("form", TEXTS)
def test_random_weights_are_said_and_trained_ones_are_not(form):
    assert "weights are random" in words(random_weights(), form)
    assert "weights are random" not in words(sample(), form)


@pytest.mark.parametrize("form", TEXTS)
def test_work_at_the_speed_of_light_is_not_called_waste_where_it_cannot_be_told(form):
    document, inside = sample(), "kernel_inefficiency"
    for part in document["bill"]["slices"][:3]:
        part |= {"share": None, "gpu_s": None, "usd_per_1m": None, "why": "no", "inside": inside}
    document["bill"]["slices"][3]["share"] += 0.129
    text = words(document, form)
    assert "94 % is waste with a name or work at the speed of light" in text
    assert "94 % of it waste" not in text
    if form is Format.HTML:
        assert "an unknown part of it waste with a name; four steps bring" in text
        assert "the largest part with a name is" in text


@pytest.mark.parametrize("form", TEXTS)
def test_a_stale_price_is_said(form):
    document = sample()
    assert "stale" not in words(document, form)
    document["pricing"]["prices"][0]["stale"] = True
    assert "stale (2026-07-20)" in words(document, form)


@pytest.mark.parametrize("form", TEXTS)
def test_what_is_unknown_stands_there_with_its_reason(form):
    text = words(sample(), form)
    assert "256 requests; a p99 needs at least 662" in text
    assert "nothing can idle for lack of demand" in text
    assert "does not apply" in text
    assert "cannot tell" in text


@pytest.mark.parametrize("form", [*TEXTS, Format.JSON])
@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_variant_renders(make, form):
    assert len(render(make(), form)) > 1000


def test_json_is_the_document_itself():
    text = render(sample(), Format.JSON)
    assert json.loads(text) == sample()
    jsonschema.validate(json.loads(text), schema())


def test_json_refuses_what_json_cannot_hold():
    document = sample()
    document["bill"]["gpu_s"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        render(document, Format.JSON)


def test_markdown_tables_survive_hostile_names():
    text = render(hostile(), Format.MARKDOWN)
    for line in text.splitlines():
        if line.startswith("| Prefill at the speed"):
            bare = line.replace("\\|", "")
            assert bare.count("|") == 7
    assert "<script>" not in text.split("````")[0]
    assert "````sh" in text  # the fence is longer than the one inside


def test_the_console_takes_no_markup():
    assert "[bold]" in render(hostile(), Format.CONSOLE)


def test_an_unknown_format_names_the_closest():
    with pytest.raises(UsageError) as caught:
        format_named("htm")
    assert "html" in caught.value.hint


@pytest.mark.parametrize("form", TEXTS)
def test_several_stale_prices_are_one_line_that_counts_them(form):
    document = sample()
    first = document["pricing"]["prices"][0]
    others = [first | {"source": f"list {n}", "as_of": f"2025-0{n}-01"} for n in (1, 2, 3)]
    document["pricing"]["prices"] = [first, *(price | {"stale": True} for price in others)]
    text = words(document, form)
    assert text.count("3 of 4 prices are stale, the oldest of 2025-01-01") == 1
    assert "price of list" not in text
    folded = "<details>" in render(document, form)
    assert folded is (form is not Format.CONSOLE)

"""Every chart of every variation compiles, says what it shows, and keeps hostile names as text."""

from __future__ import annotations

import json
import re

import pytest
from sample_documents import VARIANTS, hostile, nothing_known, sample

from costaudit.ground.errors import UsageError
from costaudit.report.chart import charts
from costaudit.report.figure import PAPER, figures_of, picture
from costaudit.report.page import asset


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_chart_is_drawn_in_the_pages_own_colours(make):
    for figure in figures_of(make()).values():
        assert figure.svg.startswith("<svg")
        assert figure.says
        assert set(re.findall(r"var\(--(\w+)\)", figure.svg)) <= set(PAPER)
        assert not re.findall(r"style=|NaN|undefined|fill=\"white\"", figure.svg)
        assert "<" not in figure.vega
        assert json.loads(figure.vega)["data"]


def test_the_sample_has_its_charts_and_nothing_known_has_none():
    assert {"orders", "roofline"} <= set(figures_of(sample()))
    assert set(figures_of(nothing_known())) <= {"ways-to-pay"}  # its prices are known


def test_hostile_names_stay_text_in_a_chart():
    for figure in figures_of(hostile()).values():
        assert "<script" not in figure.svg
        assert "<img" not in figure.svg


def test_paper_has_the_colours_of_the_style_sheet():
    root = re.search(r":root \{(.*?)\}", asset("page.css"), re.DOTALL)[1]
    css = dict(re.findall(r"--(\w+): (#\w+);", root))
    assert {name: css[name] for name in PAPER} == PAPER


def test_a_picture_leaves_the_page_with_concrete_colours():
    svg = picture(sample(), "roofline", "svg").decode()
    assert "var(" not in svg
    assert charts()["roofline"].title in svg
    assert picture(sample(), "roofline", "png").startswith(b"\x89PNG")


def test_a_chart_that_is_not_there_is_said():
    with pytest.raises(UsageError) as caught:
        picture(sample(), "rooflin", "svg")
    assert "roofline" in caught.value.hint
    with pytest.raises(UsageError, match="nothing to draw"):
        picture(nothing_known(), "roofline", "svg")

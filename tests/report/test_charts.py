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


def rung(streams, *, full=False, **more):
    told = {"at_once": streams, "requests": 2 * streams, "by": "preemption" if full else ""}
    seen = {"usage_peak_share": min(1.0, streams / 20), "tokens_per_s": 100.0 + streams}
    held = {"waiting_peak": 4.0 if full else 0.0, "preemptions": 3.0 if full else 0.0}
    return {"streams": streams, "full": full, "whole": True, **told, **seen, **held, **more}


def test_the_knee_of_a_servers_ramp_is_drawn_and_told():
    document = sample()
    rungs = [rung(4), rung(16), rung(24, full=True), rung(8, full=True, prompt_tokens=2048)]
    document["kv_cache"]["pressure"] = {
        "ended": "the knee is known",
        "audited_streams": 8,
        "spared_streams": 16,
        "full_streams": 24,
        "rungs": rungs,
        "knee": rungs[2],
    }
    figure = figures_of(document)["kv-pressure"]
    assert "lies at 24 streams" in figure.says
    assert "requests are preempted" in figure.says
    drawn = {row["kind"] for row in rows(figure) if "kind" in row}
    assert drawn == {"cache: blocks sufficed", "cache: blocks ran out", "tokens/s"}
    assert {row["at"] for row in rows(figure) if "what" in row} == {8, 24}


def test_the_ramp_of_a_model_in_this_process_is_drawn_by_memory():
    figure = figures_of(sample())["kv-pressure"]
    assert "Up to 24 sequences at once" in figure.says
    assert {row["kind"] for row in rows(figure)} == {"cache", "tokens/s"}
    short = sample()
    short["kv_cache"]["ramp"] = short["kv_cache"]["ramp"][:1]
    assert "kv-pressure" not in figures_of(short)


def flips():
    document = sample()
    ways = {"hour": "On demand", "year": "Reserved 1 y", "api": "Token API (x)"}
    month = {"mean": 1.0, "p95": 2.0}
    document["pricing"] |= {
        "options": [{"id": i, "title": t, "usd_per_month": month} for i, t in ways.items()],
        "best": "year",
        "need": {"mean_replicas": 4.0, "mean_fluid": 2.4},
        "flip_points": [
            {"what": "volume", "at": 3.0, "below": "year", "above": "hour"},
            {"what": "volume", "at": 0.25, "below": "api", "above": "year"},
            {"what": "api_price", "at": 0.5, "below": "api", "above": "year"},
            {"what": "utilization", "at": 0.4, "below": "api", "above": "hour"},
            {"what": "utilization", "at": 1.4, "below": "api", "above": "year"},
        ],
    }
    return document


def test_flip_points_are_drawn_as_stretches_of_the_cheapest_way():
    figure = figures_of(flips())["flip-points"]
    bars = [(r["what"], r["low"], r["high"], r["way"]) for r in rows(figure) if "way" in r]
    assert bars == [
        ("volume", 1 / 16, 0.25, "Token API (x)"),
        ("volume", 0.25, 3.0, "Reserved 1 y"),
        ("volume", 3.0, 16.0, "On demand"),
        ("API prices", 1 / 16, 0.5, "Token API (x)"),
        ("API prices", 0.5, 16.0, "Reserved 1 y"),
    ]
    assert "On demand from 3 times today's volume" in figure.says


def test_the_use_from_which_a_replica_pays_is_drawn_beside_todays():
    figure = figures_of(flips())["paying-use"]
    kinds = {row["what"]: row["kind"] for row in rows(figure) if "what" in row}
    assert kinds == {
        "On demand over Token API (x)": "wins at today's use",
        "Reserved 1 y over Token API (x)": "wins at no use",
    }
    assert "today's 60 %" in figure.says.replace("\N{NO-BREAK SPACE}", " ")


def test_without_flips_there_is_no_chart_of_them():
    assert not {"flip-points", "paying-use"} & set(figures_of(sample()))


def rows(figure):
    """What a compiled chart holds as its data."""
    return [row for data in json.loads(figure.vega)["data"] for row in data.get("values", ())]

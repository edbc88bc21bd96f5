"""The trend over several audits: what drifts, what may not be compared, and every form of it."""

from __future__ import annotations

import json
import re

import pytest
from sample_documents import hostile, sample, without_dollars

from costaudit.audit.stored import read_stored
from costaudit.cli.main import run
from costaudit.contrast.trend import trend
from costaudit.ground.errors import UsageError
from costaudit.report.figure import figures_of
from costaudit.report.page import html_page
from costaudit.report.render import Format, render


def audit(day=1, factor=1.0, **target):
    """The sample, recorded on a day of August at a multiple of its cost."""
    document = sample()
    document["provenance"]["created_utc"] = f"2026-08-{day:02d}T09:30:00Z"
    bill = document["bill"]
    for name in ("usd_per_1m_tokens", "gpu_s_per_1m_tokens"):
        bill[name] *= factor
        bounds = bill[f"{name}_interval"]
        bill[f"{name}_interval"] = {end: value * factor for end, value in bounds.items()}
    document["target"] |= target
    return document


def runs_of(*documents):
    return trend([(f"run-{place}", document) for place, document in enumerate(documents)])["runs"]


def test_runs_stand_in_the_order_of_their_recording():
    assert [r["run"] for r in runs_of(audit(3), audit(1), audit(2))] == ["run-1", "run-2", "run-0"]


def test_a_run_whose_interval_lies_apart_has_drifted_by_its_ends():
    first, second, third = runs_of(audit(1), audit(2), audit(3, 2.0))
    assert (first["drift"], second["drift"]) == (None, None)
    drift = third["drift"]
    assert drift["against"] == second["run"]
    assert drift["low_share"] == pytest.approx(third["low"] / second["high"] - 1)
    assert drift["high_share"] == pytest.approx(third["high"] / second["low"] - 1)


def test_what_creeps_is_seen_against_the_first():
    bounds = sample()["bill"]["usd_per_1m_tokens_interval"]
    step = 0.7 * (bounds["high"] / bounds["low"] - 1)  # neighbours overlap, the ends do not
    found = runs_of(*(audit(n + 1, (1 + step) ** n) for n in range(4)))
    assert found[1]["drift"] is None
    assert found[-1]["drift"]["against"] == "run-0"


def test_another_model_is_not_judged_but_said():
    _, other = runs_of(audit(1), audit(2, 3.0, model="another"))
    assert other["drift"] is None
    assert other["apart"] == ["model: " + sample()["target"]["model"] + ", then another"]


def test_a_changed_version_is_said_and_judged():
    _, other = runs_of(audit(1), audit(2, 3.0, engine_version="99"))
    assert other["drift"]
    assert any(text.startswith("version: ") for text in other["changed"])


def test_without_dollars_device_seconds_are_compared():
    found = trend([("a", audit(1)), ("b", without_dollars(audit(2)))])
    assert found["unit"] == "device_s"
    assert found["runs"][1]["cost"] == sample()["bill"]["gpu_s_per_1m_tokens"]


def test_what_holds_no_cost_has_no_place_in_it():
    with pytest.raises(UsageError, match="no cost per token"):
        trend([("a", audit(1)), ("prices", {"schema": "costaudit.audit/1", "pricing": {}})])


@pytest.fixture(scope="module")
def drifted():
    names = (
        "a-run-of-the-first-week-with-a-very-long-name-that-goes-on-and-on.costaudit",
        "b",
        "c",
    )
    documents = (audit(1), audit(2, 1.01), audit(3, 2.0, engine_version="99"))
    return trend(list(zip(names, documents, strict=True)))


def test_the_console_fits_80_columns_and_marks_drift(drifted):
    text = render(drifted, Format.CONSOLE, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "! drift: " in text
    assert "\x1b" not in text


def test_markdown_json_csv_and_pictures(drifted):
    assert "dearer" in render(drifted, Format.MARKDOWN)
    assert json.loads(render(drifted, Format.JSON)) == drifted
    assert render(drifted, Format.CSV, part="runs").count("\n") == 1 + 3
    assert b"<svg" in render(drifted, Format.SVG, part="trend")
    assert figures_of(drifted)["trend"].says.startswith("3 runs, from ")


def test_the_page_holds_its_document_and_reads_back(drifted, tmp_path):
    page = tmp_path / "trend.html"
    page.write_text(html_page(drifted))
    assert read_stored(page) == drifted


def test_hostile_names_stay_text():
    page = html_page(trend([("<script>alert(1)</script>", hostile()), ("b", audit(2))]))
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "alert(1)" in shown
    assert "<script>alert" not in page


def test_the_command_names_runs_apart_whose_files_are_named_alike(tmp_path, capsys):
    for place, folder in enumerate(("x", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "run.json").write_text(json.dumps(audit(place + 1)))
    runs = [str(tmp_path / folder / "run.json") for folder in ("x", "y")]
    assert run(["report", *runs, "--format", "json"]) == 0
    assert [found["run"] for found in json.loads(capsys.readouterr().out)["runs"]] == runs

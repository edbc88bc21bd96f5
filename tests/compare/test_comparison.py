"""`costaudit compare`: the gate's statistics for people."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from costaudit.cli import main
from costaudit.compare.comparison import as_json, compare
from costaudit.compare.words import comparison_text
from costaudit.contrast.stored import baseline_text

_spec = importlib.util.spec_from_file_location(
    "made_up_sides", Path(__file__).parents[1] / "contrast" / "made_up_sides.py"
)
made_up = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made_up)
observed = made_up.observed


def test_a_large_change_is_real_and_a_small_one_is_noise():
    for factor, real in ((1.3, True), (0.7, True), (1.01, False)):
        found = compare([observed()], [observed(factor)])
        assert found.lines[0].metric == "usd_per_1m_tokens"
        assert found.lines[0].real is real
        assert found.lines[0].change.share == pytest.approx(factor - 1)


def test_turning_the_sides_turns_the_change():
    there, back = compare([observed()], [observed(1.2)]), compare([observed(1.2)], [observed()])
    assert there.lines[0].change.log == pytest.approx(-back.lines[0].change.log)
    assert there.split.whole == pytest.approx(1 / back.split.whole)


def test_words_and_json_tell_the_same():
    counters = observed().counters | {"computed_tokens": 330.0, "cache_hit_tokens": 5.0}
    found = compare([observed()], [observed(1.3, counters=counters, software={"torch": "2.7"})])
    text, plain = comparison_text(found), json.loads(json.dumps(as_json(found), allow_nan=False))
    assert "usd_per_1m_tokens             +30 %" in text
    assert "Counters: 2 the same, 2 differ" in text
    assert "computed_tokens           300 to 330" in text
    assert "cache_hit_tokens          unknown to 5" in text
    assert "torch: 2.6 before, 2.7 now" in text
    assert "efficiency 1.3 × volume 1" in text
    assert plain["counters"]["computed_tokens"] == {"before": 300.0, "after": 330.0}
    assert plain["comparable"] is True
    assert plain["split"]["whole"] == pytest.approx(1.3)
    assert {c["metric"] for c in plain["changes"] if c["real"]} >= {"usd_per_1m_tokens"}


def test_another_machine_is_told_instead_of_times():
    other = observed(1.3, environment=observed().environment | {"driver": "999"})
    found = compare([observed()], [other])
    text = comparison_text(found)
    assert "Times cannot be compared:\n  another driver: 570.1 before, 999 now" in text
    assert "usd_per_1m_tokens" not in text
    assert as_json(found)["comparable"] is False


def test_the_command_takes_baseline_files(tmp_path, capsys):
    paths = []
    for name, factor in (("a", 1.0), ("b", 1.3)):
        path = tmp_path / f"{name}.json"
        path.write_text(baseline_text([observed(factor, name=name)]), encoding="utf-8")
        paths.append(str(path))
    assert main.run(["compare", *paths]) == 0
    assert "from a to b" in capsys.readouterr().out
    assert main.run(["compare", *paths, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "costaudit.compare/1"
    assert main.run(["compare", paths[0], str(tmp_path / "none")]) == 2

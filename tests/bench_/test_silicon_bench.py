"""The bench that leaves out a degree, a precision or a batch size, and its rival."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
TABLE = BENCH / "data" / "silicon_serving.csv"


@pytest.fixture(autouse=True, scope="module")
def _bench_on_the_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        yield


@pytest.fixture(scope="module")
def known():
    from serving.kriging import read_constants

    return read_constants(BENCH / "data" / "steptime_constants.json")


@pytest.fixture(scope="module")
def runs():
    from serving.table import read_table

    groups = read_table(TABLE).groups
    some = ("llama-3.1-70b", "qwen3.5-397b")  # several degrees, several precisions
    return [r for name, group in groups.items() if name.startswith(some) for r in group]


def kinds():
    from serving.leave_out import KINDS

    return {kind.name: kind for kind in KINDS}


def test_what_is_left_out_does_not_teach(runs, known):
    """Doubling the seconds of one degree moves no prediction of it, only of the others."""
    from serving.leave_out import guesses

    kind = kinds()["tensor-parallel degree"]
    degree = Counter(kind.one(run) for run in runs).most_common(1)[0][0]
    changed = [
        replace(run, seconds=run.seconds * 2) if kind.one(run) == degree else run for run in runs
    ]
    before, after = (
        {id(g.run.row): g for g in guesses(kind, table, known)} for table in (runs, changed)
    )
    assert len(before) == len(after) > 50
    moved = 0
    for key, guess in before.items():
        same = np.isclose(guess.seconds["calibrated"], after[key].seconds["calibrated"])
        if kind.one(guess.run) == degree:
            assert same
        moved += not same
    assert moved


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_slower_machine_is_slower_in_every_precision(factor, runs, known):
    """What all measured runs share is neither lost nor counted twice in the one left out."""
    from serving.kriging import arrays_of, shares_of
    from serving.leave_out import guesses

    kind = kinds()["precision"]
    mixed = [run for run in runs if run.group.startswith("qwen3.5-397b-a17b | b200")]
    usual = shares_of(known, arrays_of(mixed, known.columns))[0]
    shifted = [replace(r, seconds=factor * float(s)) for r, s in zip(mixed, usual, strict=True)]
    found = guesses(kind, shifted, known)
    assert len({guess.run.group for guess in found}) == 3
    assert np.median([guess.error_share("calibrated") for guess in found]) < 0.1


@pytest.mark.parametrize("name", ["tensor-parallel degree", "precision", "batch size"])
def test_each_run_is_guessed_once_from_others_of_its_group(name, runs, known):
    from serving.leave_out import MIN_MEASURED, guesses

    kind = kinds()[name]
    found = guesses(kind, runs, known)
    assert max(Counter(id(guess.run) for guess in found).values()) == 1
    for guess in found:
        group = [run for run in runs if kind.same(run) == kind.same(guess.run)]
        others = [run for run in group if kind.one(run) != kind.one(guess.run)]
        assert len(others) >= MIN_MEASURED
        assert set(guess.seconds) == {"calibrated", "product", "roofline"}


def test_only_runs_that_both_answer_are_compared(runs, known):
    import silicon

    truth = {id(run): run.seconds * 1.5 for run in runs[::2]}
    none = dict.fromkeys(map(id, runs[1::2]), "NoData: moe for this key at /somewhere")
    found = silicon.measure(runs, known, truth | none)
    batch = found["kinds"]["batch size"]
    assert 0 < batch["common_runs"] < batch["runs"]
    assert batch["common_p50_share"]["aiconfigurator"] == pytest.approx(0.5)
    assert found["no_answer"] == {"NoData: moe for this key at /somewhere": len(none)}
    assert found["missed"] == []
    better = {id(run): run.seconds for run in runs}
    assert "batch size" in silicon.measure(runs, known, better)["missed"]


def test_it_runs_alone(tmp_path, capsys):
    import silicon

    header, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    few = tmp_path / "few.csv"
    few.write_text("\n".join([header, *(x for x in lines if "Llama-3.1-70B" in x)]))
    assert silicon.main([str(few), "--json", "--alone"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kinds"]["tensor-parallel degree"]["p50_share"]["calibrated"] < 0.15
    assert told["learned_here"] is False
    assert silicon.main([str(few), "--alone"]) == 0
    assert "left out: one" in capsys.readouterr().out


def test_the_rival_is_asked_by_the_table_s_own_columns(runs):
    from serving.configurator import ASKED

    assert set(ASKED) <= set(runs[0].row)

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # all of it together

BENCH = Path(__file__).resolve().parents[2] / "bench"
TABLE = BENCH / "data" / "silicon_serving.csv"
CONSTANTS = BENCH / "data" / "steptime_constants.json"


@pytest.fixture(autouse=True)
def _bench_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))


@pytest.fixture(scope="module")
def rows():
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def some_rows(rows, model="meta-llama/Llama-3.1-70B", **changes):
    return [row | changes for row in rows if row["model_path"] == model]


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(BENCH / "steptime.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def whole():
    done = run(TABLE, "--json", "--seeds", 2)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def errors(found, method="calibrated"):
    return {int(k): v["p50_share"] for k, v in found["methods"][method].items()}


@pytest.mark.slow
def test_six_probes_predict_within_six_percent_and_twelve_within_five(whole):
    calibrated = errors(whole)
    assert calibrated[6] <= 0.06
    assert calibrated[12] <= 0.05
    assert calibrated[0] > calibrated[2] > calibrated[6] > calibrated[12]


@pytest.mark.slow
def test_calibrated_beats_its_rivals_with_few_probes(whole):
    calibrated, product, nnls = (errors(whole, m) for m in ("calibrated", "product", "nnls"))
    for probes in (2, 4, 6, 12):
        assert calibrated[probes] < product[probes]
    assert product[2] < nnls[2]
    assert errors(whole, "roofline")[0] > calibrated[0]


@pytest.mark.slow
def test_every_row_is_used_or_counted(whole, rows):
    assert whole["rows"] == len(rows)
    assert whole["runs"] + sum(whole["left_out"].values()) == len(rows)
    disaggregated = [row for row in rows if row["mode"] == "disagg"]
    assert len(disaggregated) in whole["left_out"].values()
    assert whole["learned_here"]


def test_constants_are_those_of_this_table_and_hold_on_groups_not_learned_from():
    from serving.kriging import fingerprint, learned_from

    assert learned_from(CONSTANTS) == fingerprint(TABLE)
    held_out = json.loads(CONSTANTS.read_text(encoding="utf-8"))["held_out"]
    assert len(held_out) == 2
    for found in held_out.values():
        assert found["6"]["p50_share"] <= 0.06
        assert found["12"]["p50_share"] <= 0.05
        assert found["0"]["p50_share"] > found["6"]["p50_share"]


@pytest.mark.slow
def test_learning_without_a_model_still_predicts_it(monkeypatch):
    pytest.importorskip("torch")
    from serving import learn
    from serving.measure import measure_groups, pooled
    from serving.table import read_table

    monkeypatch.setattr(learn, "PASSES", 60)
    groups = read_table(TABLE).groups
    own = {name: runs for name, runs in groups.items() if runs[0].family.endswith("3.1-70B")}
    known = learn.as_numpy(learn.learn([r for n, r in groups.items() if n not in own]))
    found = pooled(measure_groups(own, known, seeds=4))["calibrated"]
    assert found["6"]["p50_share"] <= 0.06
    assert found["12"]["p50_share"] <= 0.05


def test_an_unknown_model_and_missing_columns_are_survived(rows, tmp_path):
    kept = ("model_path", "system", "backend", "isl", "osl", "batch_size", "tp_size")
    bare = [
        {name: row[name] for name in (*kept, "silicon_tpot_ms")}
        for row in some_rows(rows, model_path="acme/Zephyr-70B", backend="acme")
    ]
    done = run(write(tmp_path / "t.csv", bare), "--json", "--seeds", 1)
    found = json.loads(done.stdout)
    assert found["runs"] > 50
    assert all(name.startswith("zephyr-70b | ") for name in found["groups"])
    assert not found["learned_here"]
    assert errors(found)[12] < 0.2


def test_a_tiny_group_is_predicted_with_what_probes_it_can_spare(rows, tmp_path):
    tiny = [r for r in some_rows(rows) if r["system"] == "b200_sxm" and r["mode"] == "agg"][:6]
    found = json.loads(run(write(tmp_path / "t.csv", tiny), "--json", "--seeds", 1).stdout)
    assert max(errors(found)) <= found["runs"] - 3
    assert not found["missed"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mode": "disagg"}, "disaggregated"),
        ({"system": "abacus"}, "unknown device"),
        ({"silicon_tpot_ms": "0"}, "measured TPOT"),
        ({"tp_size": "64"}, "more devices"),
        ({"batch_size": "1e7", "silicon_data_source": ""}, "does not fit"),
    ],
)
def test_a_table_without_a_usable_run_says_why(rows, tmp_path, changes, why):
    done = run(write(tmp_path / "t.csv", some_rows(rows, **changes)))
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missed_bar_is_an_exit_code(rows, tmp_path):
    noise = np.random.default_rng(0)
    shaken = [
        row | {"silicon_tpot_ms": str(float(row["silicon_tpot_ms"]) * noise.uniform(0.5, 2.0))}
        for row in some_rows(rows)
    ]
    done = run(write(tmp_path / "t.csv", shaken), "--seeds", 1)
    assert done.returncode == 1
    assert "missed the bar: 6 probes" in done.stdout


def test_the_same_run_listed_twice_counts_once(rows, tmp_path):
    from serving.table import read_table

    once = some_rows(rows)
    rounded = [
        row | {"silicon_tpot_ms": f"{float(row['silicon_tpot_ms']):.2f}", "moe_tp_size": "1"}
        for row in once
    ]
    single = read_table(write(tmp_path / "a.csv", once)).groups
    double = read_table(write(tmp_path / "b.csv", once + rounded)).groups
    assert {n: len(r) for n, r in single.items()} == {n: len(r) for n, r in double.items()}


def test_predictions_are_positive_and_follow_their_probes():
    from serving.kriging import arrays_of, covariance, predict, read_constants
    from serving.table import read_table

    known = read_constants(CONSTANTS)
    for runs in read_table(TABLE).groups.values():
        arrays = arrays_of(runs, known.columns)
        probes = np.random.default_rng(1).permutation(len(runs))[:6]
        guess = predict(known, arrays, covariance(known, arrays), probes)
        assert np.all(np.isfinite(guess))
        assert guess.min() > 0
        close = np.abs(np.log(guess[probes] / arrays.seconds[probes]))
        assert np.median(close) < 0.05


def test_columns_of_dense_attention_are_those_of_the_products_form(rows, tmp_path):
    from serving.table import read_table

    groups = read_table(write(tmp_path / "t.csv", some_rows(rows))).groups
    runs = [run for group in groups.values() for run in group]
    for run_ in runs:
        assert min(run_.columns.values()) >= 0
        assert run_.columns["experts"] == run_.columns["moe_layers"] == 0
        assert run_.columns["layers"] == 80
    fast, slow = (
        next(r for r in runs if r.place == (4.0, 10.0, 10.0, devices) and "h200" in r.group)
        for devices in (3.0, 0.0)
    )
    assert slow.columns["weights"] == pytest.approx(8 * fast.columns["weights"])
    assert slow.columns["link_decode"] == 0 < fast.columns["link_decode"]

"""Recordings too long to be read whole: sums are of all rows, draws are even, extremes are kept."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import jsonschema
import pytest

sys.path.append(str(Path(__file__).parent))
from many_samples import DECODES, add_gauges, write_long_attached, write_many_rounds
from synthetic_run import BATCHES

from costaudit.audit.build import AuditOptions, build_audit
from costaudit.audit.document import does_not_close, schema
from costaudit.measure.derive import derive
from costaudit.measure.steps import reduce_rounds
from costaudit.recording.drawn import drawn, drawn_ids
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Phase, Role

TURNS = 1500  # of the two batches: 3,000 batches of four requests
LENGTHS = tuple(
    tuple((prompt, 1 + DECODES * (output - 1)) for prompt, output in batch) for batch in BATCHES
)


@pytest.fixture(scope="module")
def attached(tmp_path_factory):
    path = write_long_attached(
        tmp_path_factory.mktemp("long") / "run.costaudit", (2 + 2 * DECODES) * TURNS
    )
    with sqlite3.connect(path) as db:  # one step of each phase that nobody may lose
        db.execute("UPDATE sample SET seconds = 99 * steps WHERE id = 4001")
        db.execute("UPDATE sample SET seconds = 1e-7 * steps WHERE id = 2002")
        db.execute("UPDATE request SET ttft_s = 77.0 WHERE id = 7777")
    return path


@pytest.fixture
def rounds(tmp_path):
    return write_many_rounds(tmp_path / "run.costaudit", 5000)


def test_drawn_samples_are_about_as_many_and_even_over_the_run(rounds):
    with Recording.read(rounds) as recording:
        every = recording.samples(Role.FIT, Role.HELD_OUT)
        drawn = recording.samples(Role.FIT, Role.HELD_OUT, most=500)
    assert len(drawn) == pytest.approx(500, rel=0.05)
    tenth = (every[-1].t_s - every[0].t_s) / 10
    shares = [sum(s.t_s // tenth == n for s in drawn) / len(drawn) for n in range(10)]
    assert min(shares) > 0.08
    counts = [sum(s.task == task for s in drawn) for task in {s.task for s in every}]
    assert min(counts) > 0.6 * 500 / len(counts)  # whatever the period of the steps


def test_the_fit_of_a_draw_is_the_fit_of_all(rounds):
    with Recording.read(rounds) as recording:
        every = reduce_rounds(recording.samples(Role.FIT))
        drawn = reduce_rounds(recording.samples(Role.FIT, most=1000))
    assert {s.load for s in drawn} == {s.load for s in every}
    by_load = {step.load: step.seconds for step in every}
    for step in drawn:
        assert by_load[step.load] <= step.seconds <= 1.02 * by_load[step.load]


def test_extremes_are_shown_and_not_fitted(attached):
    with Recording.read(attached) as recording:
        known = recording.totals(Role.ATTACHED)
        ends = recording.extreme_samples(Role.ATTACHED, known=known)
        derived = derive(recording, most_requests=200)
    per_step = [s.seconds / s.steps for s in ends]
    assert max(per_step) == 99
    assert min(per_step) == pytest.approx(1e-7)
    points = [*derived.metrics.prefill.roofline, *derived.metrics.decode.roofline]
    assert max(point["seconds"] for point in points) == 99
    assert min(point["seconds"] for point in points) == pytest.approx(1e-7)
    assert max(step.seconds for step in derived.steps) < 99
    assert max(s for _, s in derived.metrics.prefill.latency_s.curve) == 77.0


def test_few_rows_are_read_as_they_are(rounds):
    with Recording.read(rounds) as recording:
        assert recording.samples(Role.REPLAY, most=10**6) == recording.samples(Role.REPLAY)
        assert recording.requests(most=8) == recording.requests()


def test_requests_are_drawn_in_whole_batches_of_every_size(attached):
    with Recording.read(attached) as recording:
        every, drawn = recording.requests(), recording.requests(most=400)
    assert len(drawn) == pytest.approx(400, abs=8)
    batches = {}
    for row in drawn:
        batches.setdefault(row.batch, []).append((row.prompt_tokens, row.output_tokens))
    assert {tuple(rows) for rows in batches.values()} == set(LENGTHS)
    kinds = [tuple(rows) == LENGTHS[0] for rows in batches.values()]
    assert 0.4 < sum(kinds) / len(kinds) < 0.6
    assert {row.prefix_id for row in drawn} == {row.prefix_id for row in every}


def test_one_giant_batch_is_drawn_by_requests(attached, tmp_path):
    path = tmp_path / "giant.costaudit"
    path.write_bytes(attached.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute("UPDATE request SET batch = 0")
    with Recording.read(path) as recording:
        assert len(recording.requests(most=400)) == pytest.approx(400, rel=0.05)


def test_metrics_of_a_draw_are_those_of_all(attached):
    with Recording.read(attached) as recording:
        every, drawn = derive(recording), derive(recording, most_requests=400)
    assert drawn.drawn_share == pytest.approx(len(drawn.requests) / len(every.requests), rel=0.02)
    assert drawn.metrics.paid_device_s == every.metrics.paid_device_s
    assert drawn.metrics.workload == every.metrics.workload
    for phase in ("prefill", "decode"):
        of_all, of_some = getattr(every.metrics, phase), getattr(drawn.metrics, phase)
        assert of_some.tokens_per_s == pytest.approx(of_all.tokens_per_s, rel=1e-9)
        assert of_some.mfu == pytest.approx(of_all.mfu, rel=0.02)
        assert of_some.mbu == pytest.approx(of_all.mbu, rel=0.02)


def test_rounds_are_added_up_by_span(rounds):
    with Recording.read(rounds) as recording:
        windows, samples = recording.round_windows(Role.REPLAY), recording.samples(Role.REPLAY)
    for phase in Phase:
        spans = {}
        for sample in (s for s in samples if s.phase is phase):
            spans.setdefault(sample.task, []).append(sample)
        fastest = [min(span, key=lambda s: s.seconds) for span in spans.values()]
        assert windows[phase].fastest_s == pytest.approx(sum(s.seconds for s in fastest))
        assert windows[phase].steps == sum(s.steps for s in fastest)
        means = (sum(s.seconds for s in span) / len(span) for span in spans.values())
        assert windows[phase].mean_s == pytest.approx(sum(means))


@pytest.mark.slow
def test_the_audit_of_a_long_window_is_closed_and_says_what_it_drew(attached):
    document = build_audit(attached, options=AuditOptions(usd_per_device_h=3.6))
    jsonschema.validate(document, schema())
    assert does_not_close(document) == ""
    lengths = [pair for batch in LENGTHS for pair in batch]
    bill, workload = document["bill"], document["workload"]
    assert bill["prompt_tokens"] == TURNS * sum(prompt for prompt, _ in lengths)
    assert bill["output_tokens"] == TURNS * sum(output for _, output in lengths)
    assert workload["requests"] == TURNS * len(lengths)
    assert workload["drawn"]["requests"] < workload["requests"]
    assert any("were simulated" in note for note in document["notes"])
    with Recording.read(attached) as recording:
        paid_s = derive(recording).metrics.paid_device_s.low
    assert bill["gpu_s"] == pytest.approx(paid_s)
    tokens = bill["prompt_tokens"] + bill["output_tokens"]
    assert bill["usd_per_1m_tokens"] == pytest.approx(paid_s * 1e-3 * 1e6 / tokens, rel=1e-3)


def test_a_lone_spike_of_a_gauge_is_never_thinned_away(rounds):
    add_gauges(rounds, 20_000)
    with Recording.read(rounds) as recording:
        (course,) = recording.courses()
    assert len(course.t_s) <= 240
    assert max(course.high) == 0.987


def test_listed_ids_are_those_of_a_scan_and_far_ones_are_not_listed():
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE sample (id INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO sample VALUES (?)", [(n,) for n in range(5, 20_005)])
        listed, scanned = (
            [row for (row,) in db.execute(f"SELECT id FROM sample WHERE {where} ORDER BY id")]  # noqa: S608
            for where in (drawn_ids(db, "sample", 0.02), drawn("id", 0.02))
        )
        assert listed == scanned
        assert len(listed) == pytest.approx(400, rel=0.05)
        db.execute("INSERT INTO sample VALUES (?)", (1 << 60,))
        assert drawn_ids(db, "sample", 0.02) == drawn("id", 0.02)

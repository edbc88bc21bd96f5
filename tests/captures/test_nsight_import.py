"""Nsight exports of our own: attribution computed by hand, drift, files not to be trusted."""

from __future__ import annotations

import json
import sqlite3
from itertools import pairwise
from typing import TYPE_CHECKING

import jsonschema
import pytest
from nsight_files import OTHER, PROCESS, NsightFile

from costaudit.audit.build import AuditOptions, build_audit
from costaudit.audit.document import does_not_close, schema, unexplained_nulls
from costaudit.audit.situation import read_situation
from costaudit.cli.main import run
from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.record.captures import export_file, nsight
from costaudit.record.captures.attribute import NO_CALL, NO_RANGE, Owner, attribute
from costaudit.record.captures.importing import import_capture
from costaudit.record.captures.nsight import read_nsight
from costaudit.record.captures.phase_names import PhaseNames
from costaudit.recording.recording import Recording
from costaudit.report.figure import figures_of
from costaudit.report.render import Format, render

if TYPE_CHECKING:
    from pathlib import Path

NAMES = PhaseNames()
MS = 1_000_000


def small(path: Path, *, schema: str = "3.25.0", inline: bool = False) -> NsightFile:
    """Two steps, in milliseconds, on one device.

    host: prefill 0..10 with layer 2..4 inside; decode 20..30; a call at 12 outside of both.
    device: corr 1 (prefill) 100..110, corr 2 (layer in prefill) 110..130, corr 3 (decode)
    150..160, corr 4 (decode, another stream) 155..165, corr 5 (no range) 170..174,
    corr 6 (no call) 180..181.
    """
    made = NsightFile(path, schema=schema, inline=inline)
    made.range(0, 10 * MS, "prefill", tokens=512)
    made.range(2 * MS, 4 * MS, "layer")
    made.range(20 * MS, 30 * MS, "decode", tokens=8)
    for correlation, at in ((1, 1), (2, 3), (3, 21), (4, 22), (5, 12)):
        made.call(at * MS, at * MS + 1000, correlation)
    for correlation, start, end in ((1, 100, 110), (2, 110, 130), (3, 150, 160), (5, 170, 174),
                                    (6, 180, 181)):  # fmt: skip
        made.kernel(start * MS, end * MS, correlation)
    made.kernel(155 * MS, 165 * MS, 4, stream=8)
    return made


@pytest.mark.parametrize("inline", [False, True], ids=["string ids", "inline text"])
@pytest.mark.parametrize("version", ["3.18.0", "3.23.3", "3.25.0"])
def test_attribution_is_the_one_computed_by_hand(
    tmp_path: Path, version: str, *, inline: bool
) -> None:
    timeline = read_nsight(
        small(tmp_path / "run.sqlite", schema=version, inline=inline).close(), NAMES
    )
    found = attribute(timeline)
    assert found.owners == {
        Owner("prefill", "prefill"): 10 * MS,
        Owner("prefill", "layer"): 20 * MS,
        Owner("decode", "decode"): 15 * MS,  # 150..165: the overlap of two streams counts once
        Owner("", NO_RANGE): 4 * MS,
        Owner("", NO_CALL): 1 * MS,
    }
    assert (found.busy, found.window, found.gaps) == (50 * MS, 81 * MS, 0)
    assert [(s.phase, s.start, s.end, s.busy, s.tokens) for s in found.spans] == [
        ("prefill", 100 * MS, 130 * MS, 30 * MS, 512),
        ("decode", 150 * MS, 165 * MS, 15 * MS, 8),
    ]
    checked = any("none of the 3.2x" in note for note in timeline.notes)
    assert checked is (version == "3.18.0")


def test_ranges_that_share_an_instant_have_equal_parts_of_it(tmp_path: Path) -> None:
    made = NsightFile(tmp_path / "run.sqlite")
    for correlation, name in ((1, "prefill"), (2, "decode")):
        made.range(correlation * 100, correlation * 100 + 50, name)
        made.call(correlation * 100 + 10, correlation * 100 + 20, correlation)
    made.kernel(1000, 1100, 1, stream=1)
    made.kernel(1060, 1200, 2, stream=2)
    found = attribute(read_nsight(made.close(), NAMES))
    assert found.owners == {Owner("prefill", "prefill"): 80, Owner("decode", "decode"): 120}


def test_all_kernels_of_a_graph_replay_belong_to_the_range_of_its_launch(tmp_path: Path) -> None:
    made = NsightFile(tmp_path / "run.sqlite")
    made.range(0, 100, "decode")
    for replay in (1, 2):
        made.call(10 * replay, 10 * replay + 5, replay)
        for node in range(3):
            start = 1000 * replay + 100 * node
            made.kernel(start, start + 60, replay, node=node + 1)
    found = attribute(read_nsight(made.close(), NAMES))
    assert found.owners == {Owner("decode", "decode"): 360}
    assert found.graph_replays == 2
    assert found.gaps == 2 * 2 * 40 + 740  # inside both replays, and between them


def test_a_call_belongs_to_its_own_thread_unless_the_range_ends_on_another(tmp_path: Path) -> None:
    made = NsightFile(tmp_path / "run.sqlite")
    made.range(0, 100, "prefill")
    made.range(200, 300, "decode", end_thread=OTHER)
    made.call(10, 20, 1, thread=OTHER)
    made.call(210, 220, 2, thread=OTHER)
    made.kernel(1000, 1010, 1)
    made.kernel(1010, 1040, 2)
    found = attribute(read_nsight(made.close(), NAMES))
    assert found.owners == {Owner("", NO_RANGE): 10, Owner("decode", "decode"): 30}


def test_without_runtime_rows_nothing_is_attributed_and_that_is_said(tmp_path: Path) -> None:
    made = NsightFile(tmp_path / "run.sqlite")
    made.range(0, 100, "prefill")
    made.kernel(10, 30, 1)
    import_capture(made.close(), tmp_path / "run.costaudit", NAMES)
    document = build_audit(tmp_path / "run.costaudit", options=AuditOptions())
    assert document["capture"]["no_call_s"] == document["capture"]["busy_s"] == pytest.approx(20e-9)
    assert "100 % could not be attributed" in render(document, Format.CONSOLE).replace("\n", " ")


def test_the_recording_has_an_ordinary_report_in_every_form(tmp_path: Path) -> None:
    made = small(tmp_path / "run.sqlite")
    made.metrics("DRAM Read Bandwidth [Throughput %]", (100 * MS, 40), (110 * MS, 80))
    import_capture(made.close(), tmp_path / "run.costaudit", NAMES)
    document = build_audit(tmp_path / "run.costaudit", options=AuditOptions(usd_per_device_h=3.0))
    jsonschema.validate(document, schema())
    assert not unexplained_nulls(document)
    assert not does_not_close(document)
    assert document["phases"]["prefill"]["tokens_per_s"] == pytest.approx(512 / 30e-3)
    assert document["device"]["name"] == "NVIDIA H200"
    (gauge,) = document["course"]["gauges"]
    assert (gauge["low"][0], gauge["high"][-1]) == (0.4, 0.8)
    for form in (Format.CONSOLE, Format.MARKDOWN, Format.HTML, Format.JSON):
        assert "layer" in render(document, form)


def test_many_samples_of_gpu_metrics_are_thinned_over_the_whole_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nsight, "_MOST_READINGS", 200)
    made = small(tmp_path / "run.sqlite")
    made.metrics("SMs Active [Throughput %]", *((at * MS, at % 100) for at in range(1000)))
    readings = read_nsight(made.close(), NAMES).readings
    assert 150 <= len(readings) <= 250
    gaps = [b.at - a.at for a, b in pairwise(readings)]
    assert readings[0].at < 100 * MS
    assert readings[-1].at > 900 * MS
    assert max(gaps) < 100 * MS


def test_gpu_metrics_are_drawn_by_their_names(tmp_path: Path) -> None:
    made = small(tmp_path / "run.sqlite")
    made.metrics("SMs Active [Throughput %]", (100 * MS, 25), (150 * MS, 75))
    import_capture(made.close(), tmp_path / "run.costaudit", NAMES)
    document = build_audit(tmp_path / "run.costaudit", options=AuditOptions())
    drawn = figures_of(document)["utilization"]
    assert "SMs Active" in drawn.svg
    plain = drawn.says.replace("\N{NO-BREAK SPACE}", " ")
    assert plain == "Lowest to highest reading: SMs Active 25 to 75 %."


def test_no_what_if_starts_from_a_capture(tmp_path: Path) -> None:
    import_capture(small(tmp_path / "a.sqlite").close(), tmp_path / "a.costaudit", NAMES)
    with pytest.raises(InconclusiveError, match="imported capture"):
        read_situation(tmp_path / "a.costaudit", AuditOptions())


def test_the_command_imports_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = small(tmp_path / "run.sqlite").close()
    out = tmp_path / "kept.costaudit"
    assert run(["import", str(made), "-o", str(out), "--decode", "lay*", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["phases"]["decode"]["device_s"] == pytest.approx(20e-3)
    assert document["phases"]["prefill"]["device_s"] is None
    with Recording.read(out) as recording:
        assert recording.meta()["kind"] == "capture"
    assert run(["import", str(made), "-o", str(out)]) == 2


def drifted(path: Path) -> None:
    """The correlation of a kernel has another name."""
    made = small(path)
    made.db.execute('ALTER TABLE CUPTI_ACTIVITY_KIND_KERNEL RENAME "correlationId" TO "corrId"')
    made.close()


def of_another_kind(path: Path) -> None:
    """An SQLite file of somebody else."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (name)")


def a_view(path: Path) -> None:
    """Endless rows where the kernels should be."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE StringIds (id, value)")
        db.execute(
            "CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS WITH RECURSIVE r(start) AS (SELECT 1 UNION "
            'ALL SELECT start + 1 FROM r) SELECT start, start AS "end", 0 AS deviceId, start AS '
            "correlationId FROM r"
        )


def cut_off(path: Path) -> None:
    """Half of a file."""
    small(path).close()
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (drifted, "has no column correlationId"),
        (of_another_kind, "no Nsight Systems export"),
        (a_view, "no kernel, copy or fill"),
        (cut_off, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, make: object, said: str
) -> None:
    make(tmp_path / "run.sqlite")  # type: ignore[operator]
    with pytest.raises(UsageError, match=said):
        import_capture(tmp_path / "run.sqlite", tmp_path / "run.costaudit", NAMES)
    assert not (tmp_path / "run.costaudit").exists()


def test_rows_that_make_no_sense_are_counted(tmp_path: Path) -> None:
    made = small(tmp_path / "run.sqlite")
    made.add("CUPTI_ACTIVITY_KIND_KERNEL", start="soon", end=3, deviceId=0, correlationId=9,
             globalPid=PROCESS)  # fmt: skip
    made.kernel(50, 40, 9)
    timeline = read_nsight(made.close(), NAMES)
    assert len(timeline.operations) == 6
    assert timeline.notes == (
        "2 rows of CUPTI_ACTIVITY_KIND_KERNEL make no sense and were left out.",
    )


def test_more_rows_than_are_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_file, "MOST_ROWS", 3)
    made = small(tmp_path / "run.sqlite").close()
    with pytest.raises(UsageError, match="more than 3 rows"):
        read_nsight(made, NAMES)


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("prefill", "prefill"),
        ("Model.forward[DECODE]", "decode"),
        ("execute_context_2(512)_generation_0(0)", "prefill"),
        ("execute_context_0(0)_generation_64(64)", "decode"),
        ("execute_context_2(512)_generation_64(64)", ""),
        ("prefill and decode", ""),
        ("aten::linear", ""),
    ],
)
def test_a_name_tells_its_phase(name: str, phase: str) -> None:
    assert NAMES.phase(name) == phase

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from costaudit.ground.errors import UsageError
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact, Gauge, Phase, Role, Sample, Task


def sample(task="p", number=0):
    return Sample(
        task=task,
        role=Role.FIT,
        phase=Phase.DECODE,
        round=number,
        t_s=0.1,
        seconds=0.02,
        wall_s=0.03,
        clock="thread_time",
        steps=4,
        decode_seqs=2,
        decode_context_tokens=20,
    )


def test_rows_come_back_as_they_went_in(tmp_path):
    with Recording.create(tmp_path / "r.costaudit") as recording:
        recording.add(sample(), Fact(subject="kv", name="x", value=None, why="no reason"))
        recording.set_meta(options={"a": [1, None]})
    with Recording.read(tmp_path / "r.costaudit") as recording:
        assert recording.samples(Role.FIT) == [sample()]
        assert recording.samples(Role.REPLAY) == []
        assert recording.facts()["kv"]["x"].why == "no reason"
        assert recording.meta()["options"] == {"a": [1, None]}


def test_rows_and_the_mark_of_their_task_are_one_transaction(tmp_path):
    with Recording.create(tmp_path / "r.costaudit") as recording:
        recording.plan([Task(id="p#0", kind="step", spec={})])
        with pytest.raises(TypeError):
            recording.add(sample(), Fact(subject="x", name="x", value=object()), done="p#0")
        assert recording.samples() == []
        assert not recording.tasks()[0].done
        recording.add(sample(), done="p#0")
        assert recording.tasks()[0].done


def test_later_plans_come_behind_earlier_ones_and_known_tasks_stay(tmp_path):
    with Recording.create(tmp_path / "r.costaudit") as recording:
        recording.plan([Task(id=i, kind="a", spec={}) for i in ("z", "b")], done="z")
        recording.plan([Task(id=i, kind="b", spec={}) for i in ("b", "a")])
        assert [(t.id, t.kind, t.done) for t in recording.tasks()] == [
            ("z", "a", True),
            ("b", "a", False),
            ("a", "b", False),
        ]


def test_the_clock_goes_on_where_a_finished_task_left_it(tmp_path):
    path = tmp_path / "r.costaudit"
    with Recording.create(path) as recording:
        recording.plan([Task(id="t", kind="a", spec={})])
        recording._started -= 100
        recording.finish("t")
    with Recording.resume(path) as recording:
        assert 100 <= recording.clock_s() < 110


def test_one_file_is_left_and_reads_from_a_read_only_folder(tmp_path):
    path = tmp_path / "r.costaudit"
    with Recording.create(path) as recording:
        recording.add(sample())
    assert [p.name for p in tmp_path.iterdir()] == ["r.costaudit"]
    tmp_path.chmod(0o555)
    try:
        with Recording.read(path) as recording:
            assert len(recording.samples()) == 1
    finally:
        tmp_path.chmod(0o755)


def test_threads_may_write_at_the_same_time(tmp_path):
    with Recording.create(tmp_path / "r.costaudit") as recording:
        gauge = Gauge(t_s=0, meter="m", name="n", value=1, unit="")
        threads = [
            threading.Thread(target=lambda: [recording.add(gauge) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(recording.gauges("m")) == 200


def test_what_is_no_recording_is_refused(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE t (x)").connection.close()
    newer = tmp_path / "newer.costaudit"
    with Recording.create(newer) as recording:
        recording._db.execute("PRAGMA user_version=99")
    for path, words in (
        (text, "no costaudit recording"),
        (other, "no costaudit recording"),
        (newer, "schema 99"),
        (tmp_path / "gone", "no recording at"),
    ):
        with pytest.raises(UsageError, match=words):
            Recording.read(path)
        with pytest.raises(UsageError, match=words):
            Recording.resume(path)


def test_nothing_is_overwritten_and_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "r.costaudit"
    Recording.create(path).close()
    with pytest.raises(UsageError, match="exists already"):
        Recording.create(path)
    with pytest.raises(UsageError, match="cannot write a recording"):
        Recording.create(tmp_path / "missing" / "r.costaudit")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_read_only_place_is_refused():
    with pytest.raises(UsageError, match=r"cannot write a recording at /proc/r\.costaudit"):
        Recording.create(Path("/proc/r.costaudit"))


def test_it_opens_with_sqlite3_and_pandas(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    with Recording.create(tmp_path / "r.costaudit") as recording:
        recording.add(sample(), sample(number=1))
    db = sqlite3.connect(tmp_path / "r.costaudit")
    frame = pandas.read_sql("SELECT task, round, seconds FROM sample", db)
    db.close()
    assert list(frame["round"]) == [0, 1]


def test_datasette_opens_it(tmp_path):
    pytest.importorskip("datasette", reason="datasette is not installed")
    import asyncio

    from datasette.app import Datasette

    path = tmp_path / "run.costaudit"
    with Recording.create(path) as recording:
        recording.add(sample())

    async def rows():
        site = Datasette([str(path)])
        answer = await site.client.get("/run/sample.json?_shape=array")
        return answer.json()

    assert asyncio.run(rows())[0]["task"] == "p"

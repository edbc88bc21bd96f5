"""The recording file: created once, appended sample by sample, read for ever.

Every write is its own transaction in WAL mode with synchronous=NORMAL: a killed process loses at
most the row in flight (a power cut may lose the last few, never the file).
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self, TypeVar

from costaudit.ground.errors import TargetError, UsageError
from costaudit.recording import drawn
from costaudit.recording.course import Course, Extent, Span, courses, extents, phase_spans
from costaudit.recording.file import create_file, has_answers, journal, open_file
from costaudit.recording.rows import (
    TABLES,
    Answer,
    Fact,
    Gauge,
    Instrument,
    Phase,
    RequestRow,
    Role,
    Row,
    Sample,
    State,
    Task,
    to_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from costaudit.recording.drawn import Lengths, PhaseWindow, Totals

_ROW = TypeVar("_ROW", Sample, RequestRow, Answer, Gauge, Fact, Instrument)


class Recording:
    """An open recording; use `create`, `resume` or `read`, and close it (context manager)."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, clock_s: float = 0.0) -> None:
        self.path = path
        self._db = connection
        self._started = time.monotonic() - clock_s
        self._lock = threading.RLock()  # meters write from threads of their own

    # -- opening ----------------------------------------------------------------

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new recording at `path`.

        Raises:
            UsageError: something is there already, or the place cannot be written.
        """
        return cls(path, create_file(path))

    @classmethod
    def resume(cls, path: Path) -> Self:
        """An existing recording, to be gone on with.

        Raises:
            UsageError: it is missing, no recording, of another schema, or cannot be written.
        """
        db = open_file(path, mode="rw")
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
            journal(db)
            row = db.execute("SELECT value FROM meta WHERE key = 'clock_s'").fetchone()
        except sqlite3.Error as err:
            db.close()
            raise UsageError(f"cannot go on with {path}: {err}") from err
        return cls(path, db, clock_s=float(json.loads(row[0])) if row else 0.0)

    @classmethod
    def read(cls, path: Path) -> Self:
        """An existing recording, read only.

        Raises:
            UsageError: it is missing, no recording, or of a newer schema.
        """
        return cls(path, open_file(path, mode="ro"))

    def close(self) -> None:
        """Fold the journal into the file and close it; one file is left, for ever readable."""
        with suppress(sqlite3.Error):  # read only, or somebody reads: the journal stays beside it
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    # -- writing ----------------------------------------------------------------

    def clock_s(self) -> float:
        """Seconds since the recording began; goes on where a resumed run stopped."""
        return time.monotonic() - self._started

    def set_meta(self, **values: object) -> None:
        """Set keys of the run's own description (JSON values)."""
        rows = [(k, json.dumps(v)) for k, v in values.items()]
        self._write_many("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def plan(self, tasks: Iterable[Task], *facts: Fact, done: str | None = None) -> None:
        """Write down what is to be recorded, behind what is planned already, in one transaction.

        Tasks already known stay as they are. `facts` and `done` (a task that is finished by this)
        go into the same transaction.
        """
        rows = [(t.id, t.kind, json.dumps(t.spec)) for t in tasks]
        sql = (
            "INSERT OR IGNORE INTO task (id, seq, kind, spec) "
            "VALUES (?1, (SELECT coalesce(max(seq), -1) + 1 FROM task), ?2, ?3)"
        )
        with self._transaction():
            self._db.executemany(sql, rows)
            self._append(facts)
            self._mark_done(done)

    def finish(self, task_id: str) -> None:
        """Mark a task as done, and keep the clock for a resumed run."""
        with self._transaction():
            self._mark_done(task_id)

    def add(self, *rows: Row, done: str | None = None) -> None:
        """Append rows, in one transaction; with `done` the task that they finish is marked in it.

        A killed run can so never hold a task's rows without its mark, or the mark without them.
        """
        with self._transaction():
            self._append(rows)
            self._mark_done(done)

    def _append(self, rows: Iterable[Row]) -> None:
        by_type: dict[type, list[Any]] = {}
        for row in rows:
            by_type.setdefault(type(row), []).append(row)
        for kind, group in by_type.items():
            names = [f.name for f in fields(kind)]
            marks = ", ".join("?" * len(names))
            self._db.executemany(
                f"INSERT INTO {TABLES[kind]} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - our own names
                [to_columns(row) for row in group],
            )

    def _mark_done(self, task_id: str | None) -> None:
        if task_id is None:
            return
        self._db.execute("UPDATE task SET done = 1 WHERE id = ?", (task_id,))
        clock = json.dumps(self.clock_s())
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('clock_s', ?)", (clock,))

    def drop_answers(self, task_id: str) -> None:
        """Take out the answers of a rung that never ended; begun anew, its clock is another."""
        self._write_many("DELETE FROM answer WHERE task = ?", [(task_id,)])

    def add_trouble(self, place: str, message: str) -> None:
        """Note something that went wrong without ending the run."""
        self._write_many(
            "INSERT INTO trouble (t_s, place, message) VALUES (?, ?, ?)",
            [(self.clock_s(), place, message[:2000])],
        )

    def _write_many(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._transaction():
            self._db.executemany(sql, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction, taken back on any exception; threads wait for each other."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException as err:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(err, sqlite3.Error):
                    raise TargetError(f"cannot write to {self.path}: {err}") from err
                raise

    # -- reading ----------------------------------------------------------------

    def meta(self) -> dict[str, object]:
        """The run's own description."""
        return {k: json.loads(v) for k, v in self._db.execute("SELECT key, value FROM meta")}

    def tasks(self) -> list[Task]:
        """Planned tasks in order."""
        rows = self._db.execute("SELECT id, kind, spec, done FROM task ORDER BY seq, id")
        return [Task(id=i, kind=k, spec=json.loads(s), done=bool(d)) for i, k, s, d in rows]

    def samples(self, *roles: Role, most: int | None = None) -> list[Sample]:
        """Samples in the order they were taken; all roles when none is named.

        Where there are more than `most`, about so many, spread evenly.
        """
        return self._samples(drawn.drawn_samples(self._db, roles or tuple(Role), most))

    def totals(self, *roles: Role) -> Mapping[Phase, Totals]:
        """The samples of these roles added up, by phase."""
        return drawn.totals(self._db, roles)

    def extreme_samples(self, *roles: Role, known: Mapping[Phase, Totals]) -> list[Sample]:
        """The fastest and the slowest step of each phase, of which `known` are the totals."""
        return self._samples(drawn.extreme_samples(self._db, roles, known))

    def _samples(self, where: str) -> list[Sample]:
        return [
            Sample(**{**row, "role": Role(row["role"]), "phase": Phase(row["phase"])})
            for row in self._rows(Sample, where)
        ]

    def round_windows(self, role: Role) -> Mapping[Phase, PhaseWindow]:
        """The spans of this role, run in rounds, each counted once; by phase."""
        return drawn.round_windows(self._db, role)

    def requests(self, *, most: int | None = None) -> list[RequestRow]:
        """Requests of the replayed workload; where there are more than `most`, about so many."""
        where, unit = drawn.request_pool(self._db, most)
        pool = [RequestRow(**row) for row in self._rows(RequestRow, where)]
        return drawn.drawn_requests(pool, most, unit) if most is not None and unit else pool

    def lengths(self) -> Lengths:
        """Tokens and times to the first token of all requests."""
        return drawn.lengths(self._db)

    def measured(self) -> int:
        """How many measurements it holds: samples and answers."""
        tables = ("sample", "answer") if has_answers(self._db) else ("sample",)
        counts = (self._db.execute(f"SELECT count(*) FROM {name}") for name in tables)  # noqa: S608 - our own names
        return sum(count.fetchone()[0] for count in counts)

    def answers(self, task: str | None = None) -> list[Answer]:
        """Answers of one rung (or of all), in the order they ended; none in schema 1."""
        if not has_answers(self._db):
            return []
        rows = (
            {**row, "truncated": bool(row["truncated"])}
            for row in self._rows(Answer, "" if task is None else "WHERE task = ?", task)
        )
        return [Answer(**row) for row in rows]

    def gauges(self, meter: str | None = None) -> list[Gauge]:
        """Readings of a meter (or of all), in time order."""
        where = "" if meter is None else "WHERE meter = ?"
        return [Gauge(**row) for row in self._rows(Gauge, where, meter)]

    def courses(self) -> tuple[Course, ...]:
        """Gauges over time, thinned with their extremes kept."""
        return courses(self._db)

    def extents(self, meter: str) -> dict[str, Extent]:
        """What each gauge of a meter did from its first reading to its last."""
        return extents(self._db, meter)

    def phase_spans(self) -> tuple[Span, ...]:
        """When steps of each phase ran."""
        return phase_spans(self._db)

    def facts(self) -> dict[str, dict[str, Fact]]:
        """The latest fact of each name, by subject."""
        found: dict[str, dict[str, Fact]] = {}
        for row in self._rows(Fact):
            fact = Fact(**{**row, "value": json.loads(row["value"])})
            found.setdefault(fact.subject, {})[fact.name] = fact
        return found

    def instruments(self) -> dict[str, Instrument]:
        """The latest state of each meter."""
        rows = (Instrument(**{**r, "state": State(r["state"])}) for r in self._rows(Instrument))
        return {i.meter: i for i in rows}

    def troubles(self) -> list[tuple[float, str, str]]:
        """What went wrong without ending the run: (t_s, place, message)."""
        return self._db.execute("SELECT t_s, place, message FROM trouble ORDER BY id").fetchall()

    def _rows(
        self, kind: type[_ROW], where: str = "", argument: str | None = None
    ) -> list[dict[str, Any]]:
        names = [f.name for f in fields(kind)]
        sql = f"SELECT {', '.join(names)} FROM {TABLES[kind]} {where} ORDER BY id"  # noqa: S608 - our own names
        rows = self._db.execute(sql, () if argument is None else (argument,))
        return [dict(zip(names, row, strict=True)) for row in rows]

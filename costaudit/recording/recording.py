"""The recording file: created once, appended sample by sample, read for ever.

Every write is its own transaction in WAL mode with synchronous=NORMAL: a killed process loses at
most the row in flight (a power cut may lose the last few, never the file).
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from costaudit.ground.errors import TargetError, UsageError
from costaudit.recording.rows import (
    Fact,
    Gauge,
    Instrument,
    Phase,
    RequestRow,
    Role,
    Sample,
    State,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

SCHEMA = 1
APPLICATION_ID = 0x436F7374  # "Cost", in the file's header
_ROW = TypeVar("_ROW", Sample, RequestRow, Gauge, Fact, Instrument)
_TABLES: dict[type, str] = {
    Sample: "sample",
    RequestRow: "request",
    Gauge: "gauge",
    Fact: "fact",
    Instrument: "instrument",
}


class Recording:
    """An open recording; use `create`, `resume` or `read`, and close it (context manager)."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._started = time.monotonic()

    # -- opening ----------------------------------------------------------------

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new recording at `path`.

        Raises:
            UsageError: something is there already, or the place cannot be written.
        """
        if path.exists():
            raise UsageError(
                f"{path} exists already", hint="name another file with -o, or go on with --resume"
            )
        schema = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
        try:
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(f"BEGIN;{schema}PRAGMA user_version={SCHEMA};COMMIT;")
        except sqlite3.Error as err:
            raise UsageError(
                f"cannot write a recording at {path}: {err}",
                hint="choose a place that can be written with -o",
            ) from err
        return cls(path, db)

    @classmethod
    def resume(cls, path: Path) -> Self:
        """An existing recording, to be gone on with.

        Raises:
            UsageError: it is missing, no recording, of another schema, or cannot be written.
        """
        recording = cls._existing(path, mode="rw")
        try:
            recording._db.execute("BEGIN IMMEDIATE")
            recording._db.execute("ROLLBACK")
        except sqlite3.Error as err:
            raise UsageError(f"cannot go on with {path}: {err}") from err
        began = recording.meta().get("clock_s", 0.0)
        recording._started = time.monotonic() - float(began if isinstance(began, (int, float)) else 0)
        return recording

    @classmethod
    def read(cls, path: Path) -> Self:
        """An existing recording, read only.

        Raises:
            UsageError: it is missing, no recording, or of a newer schema.
        """
        return cls._existing(path, mode="ro")

    @classmethod
    def _existing(cls, path: Path, *, mode: str) -> Self:
        if not path.is_file():
            raise UsageError(f"there is no recording at {path}")
        try:
            uri = f"{path.resolve().as_uri()}?mode={mode}"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as err:
            raise UsageError(f"{path} is no costaudit recording: {err}") from err
        if application != APPLICATION_ID:
            db.close()
            raise UsageError(f"{path} is no costaudit recording")
        if version != SCHEMA:
            db.close()
            raise UsageError(
                f"{path} has recording schema {version}, this costaudit reads {SCHEMA}",
                hint="use the costaudit that wrote it, or a newer one",
            )
        return cls(path, db)

    def close(self) -> None:
        """Fold the journal into the file and close it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- writing ----------------------------------------------------------------

    def clock_s(self) -> float:
        """Seconds since the recording began; goes on where a resumed run stopped."""
        return time.monotonic() - self._started

    def set_meta(self, **values: object) -> None:
        """Set keys of the run's own description (JSON values)."""
        rows = [(k, json.dumps(v)) for k, v in values.items()]
        self._write_many("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def plan(self, tasks: Iterable[Task]) -> None:
        """Write down what is to be recorded; tasks already known stay as they are."""
        rows = [(t.id, n, t.kind, json.dumps(t.spec)) for n, t in enumerate(tasks)]
        self._write_many("INSERT OR IGNORE INTO task (id, seq, kind, spec) VALUES (?,?,?,?)", rows)

    def finish(self, task_id: str) -> None:
        """Mark a task as done, and keep the clock for a resumed run."""
        self._write_many("UPDATE task SET done = 1 WHERE id = ?", [(task_id,)])
        self.set_meta(clock_s=self.clock_s())

    def add(self, *rows: Sample | RequestRow | Gauge | Fact | Instrument) -> None:
        """Append rows, in one transaction."""
        by_type: dict[type, list[Any]] = {}
        for row in rows:
            by_type.setdefault(type(row), []).append(row)
        self._db.execute("BEGIN")
        try:
            for kind, group in by_type.items():
                names = [f.name for f in fields(kind)]
                marks = ", ".join("?" * len(names))
                self._db.executemany(
                    f"INSERT INTO {_TABLES[kind]} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - our own names
                    [_to_columns(row) for row in group],
                )
            self._db.execute("COMMIT")
        except sqlite3.Error as err:
            self._db.execute("ROLLBACK")
            raise TargetError(f"cannot write to {self.path}: {err}") from err

    def add_trouble(self, place: str, message: str) -> None:
        """Note something that went wrong without ending the run."""
        self._write_many(
            "INSERT INTO trouble (t_s, place, message) VALUES (?, ?, ?)",
            [(self.clock_s(), place, message[:2000])],
        )

    def _write_many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        self._db.execute("BEGIN")
        try:
            self._db.executemany(sql, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as err:
            self._db.execute("ROLLBACK")
            raise TargetError(f"cannot write to {self.path}: {err}") from err

    # -- reading ----------------------------------------------------------------

    def meta(self) -> dict[str, object]:
        """The run's own description."""
        return {k: json.loads(v) for k, v in self._db.execute("SELECT key, value FROM meta")}

    def tasks(self) -> list[Task]:
        """Planned tasks in order."""
        rows = self._db.execute("SELECT id, kind, spec, done FROM task ORDER BY seq, id")
        return [Task(id=i, kind=k, spec=json.loads(s), done=bool(d)) for i, k, s, d in rows]

    def samples(self, *roles: Role) -> list[Sample]:
        """Samples in the order they were taken; all roles when none is named."""
        rows = self._rows(Sample)
        taken = [
            Sample(**{**row, "role": Role(row["role"]), "phase": Phase(row["phase"])})
            for row in rows
        ]
        return [s for s in taken if not roles or s.role in roles]

    def requests(self) -> list[RequestRow]:
        """Requests of the replayed workload."""
        return [RequestRow(**row) for row in self._rows(RequestRow)]

    def gauges(self, meter: str | None = None) -> list[Gauge]:
        """Readings of a meter (or of all), in time order."""
        return [g for g in (Gauge(**r) for r in self._rows(Gauge)) if meter in (None, g.meter)]

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

    def _rows(self, kind: type[_ROW]) -> list[dict[str, Any]]:
        names = [f.name for f in fields(kind)]
        rows = self._db.execute(f"SELECT {', '.join(names)} FROM {_TABLES[kind]} ORDER BY id")  # noqa: S608 - our own names
        return [dict(zip(names, row, strict=True)) for row in rows]


def _to_columns(row: Sample | RequestRow | Gauge | Fact | Instrument) -> tuple[object, ...]:
    if isinstance(row, Fact):
        return (row.subject, row.name, json.dumps(row.value), row.unit, row.origin, row.why)
    return tuple(str(v) if isinstance(v, (Role, Phase, State)) else v for v in astuple(row))

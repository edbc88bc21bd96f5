"""Opening the SQLite file of a recording: what it must be, and how it is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from costaudit.ground.errors import UsageError

SCHEMA = 2
READABLE = (1, 2)  # schema 1 had no answers
READ_CACHE_KIB = 192 * 1024  # holds a million samples: the next look at them needs no disk
APPLICATION_ID = 0x436F7374  # "Cost", in the file's header


def create_file(path: Path) -> sqlite3.Connection:
    """An empty recording at `path`.

    Raises:
        UsageError: something is there already, or the place cannot be written.
    """
    if path.exists():
        raise UsageError(
            f"{path} exists already",
            hint="go on with it by --resume, replace it by --force, or name another with -o",
        )
    schema = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        journal(db)
        db.executescript(f"BEGIN;{schema}PRAGMA user_version={SCHEMA};COMMIT;")
    except sqlite3.Error as err:
        raise UsageError(
            f"cannot write a recording at {path}: {err}",
            hint="choose a place that can be written with -o",
        ) from err
    return db


def open_file(path: Path, *, mode: str) -> sqlite3.Connection:
    """An existing recording; `mode` is "ro" or "rw".

    Raises:
        UsageError: it is missing, no recording, or of a schema that cannot be used so.
    """
    if not path.is_file():
        raise UsageError(f"there is no recording at {path}")
    try:
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        db.execute(f"PRAGMA cache_size=-{READ_CACHE_KIB}")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as err:
        raise UsageError(f"{path} is no costaudit recording: {err}") from err
    if application != APPLICATION_ID:
        db.close()
        raise UsageError(f"{path} is no costaudit recording")
    if version not in (READABLE if mode == "ro" else (SCHEMA,)):
        db.close()
        raise UsageError(
            f"{path} has recording schema {version}, this costaudit reads {SCHEMA}",
            hint="use the costaudit that wrote it, or a newer one",
        )
    return db


def has_answers(db: sqlite3.Connection) -> bool:
    """Whether its schema has a table of answers."""
    return bool(db.execute("PRAGMA user_version").fetchone()[0] > 1)


def journal(db: sqlite3.Connection) -> None:
    """Write-ahead, so that a killed process loses no more than its last transaction.

    A checkpoint waits for the disk, a quarter of a second at times, and would spoil what is being
    timed: it is left to the closing of the file.
    """
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("PRAGMA wal_autocheckpoint=0")

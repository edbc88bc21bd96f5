"""An Nsight Systems SQLite export as an untrusted file: opened read only, bounded, by table."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

MOST_ROWS = 5_000_000  # of one table; a decode step has some hundred kernels
MOST_S = 600.0  # of reading: a file can be made to keep SQLite busy for ever
TEXT = 200  # characters of a name that are kept
_LONGEST_BYTES = 64 << 20  # of one value or statement
_TICK = 1_000_000  # of SQLite's instructions between two looks at the clock
_AGAIN = "export it again: nsys export --type sqlite --force-overwrite true RUN.nsys-rep"


class Export:
    """An open export; a context manager. `schema` is its EXPORT_SCHEMA_VERSION, "" if none.

    Raises (also while it is read):
        UsageError: it is no SQLite file, is damaged, or holds more than is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._until = time.monotonic() + MOST_S
        with self._faults():
            uri = f"{path.resolve().as_uri()}?mode=ro"
            self._db = sqlite3.connect(uri, uri=True)
            self._db.execute("PRAGMA trusted_schema=OFF")
            self._db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_BYTES)
            self._db.set_progress_handler(lambda: time.monotonic() > self._until, _TICK)
            # A view or a virtual table of the same name could run anything.
            tables = self._db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' "
                "AND sql LIKE 'CREATE TABLE%' LIMIT 10000"
            ).fetchall()
            self.tables = {str(name) for (name,) in tables}
        self.schema = self._meta("EXPORT_SCHEMA_VERSION")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def columns(self, table: str) -> set[str]:
        """Names of a table's columns; none where there is no such table."""
        if table not in self.tables:
            return set()
        with self._faults():
            return {str(row[1]) for row in self._db.execute(f"PRAGMA table_info({table})")}

    def last_row(self, table: str) -> int:
        """The number of a table's last row, which is how many it has unless some were deleted."""
        if table not in self.tables:
            return 0
        with self._faults():
            (last,) = self._db.execute(f"SELECT max(rowid) FROM {table}").fetchone()  # noqa: S608 - our names
        return last or 0

    def rows(
        self,
        table: str,
        needed: Sequence[str],
        optional: Sequence[str] = (),
        *,
        where: str = "",
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of a table: needed columns, then optional ones (None where the table lacks them).

        Nothing where the table is not there: Nsight makes tables only for what it saw.
        """
        if table not in self.tables:
            return
        has = self.columns(table)
        if lacks := [name for name in needed if name not in has]:
            raise UsageError(
                f"{self.path}: table {table} of this export (schema {self.schema or 'unknown'}) "
                f"has no column {lacks[0]}, so its times cannot be attributed",
                hint=f"costaudit was checked with schemas 3.2x; {_AGAIN}",
            )
        shown = [*needed, *(name if name in has else "NULL" for name in optional)]
        names = ", ".join(f'"{name}"' if name != "NULL" else name for name in shown)
        sql = f"SELECT {names} FROM {table} {where} LIMIT {MOST_ROWS + 1}"  # noqa: S608 - our names
        with self._faults():
            for place, row in enumerate(self._db.execute(sql)):
                if place >= MOST_ROWS:
                    raise UsageError(
                        f"{self.path}: table {table} has more than {MOST_ROWS:,} rows",
                        hint="capture less, such as a minute: --capture-range, --duration",
                    )
                yield row

    def _meta(self, name: str) -> str:
        for key, value in self.rows("META_DATA_EXPORT", ("name", "value")):
            if key == name:
                return str(value)[:TEXT]
        return ""

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as err:
            late = time.monotonic() > self._until
            what = f"took more than {MOST_S:.0f} s to read" if late else f"cannot be read: {err}"
            raise UsageError(
                f"{self.path} {what}: it is no usable Nsight Systems export", hint=_AGAIN
            ) from err


def whole(*values: object) -> bool:
    """All are integers that a time or an identity can be."""
    return all(type(value) is int and 0 <= value < 2**62 for value in values)


def clean(text: object) -> str:
    """A name from a file, on one line, without what a terminal would obey."""
    shown = "".join(c if c.isprintable() else " " for c in str(text)[: TEXT * 4])
    return " ".join(shown.split())[:TEXT]

"""The engine that reduces a log where it lies: embedded DuckDB, or another by its URL.

What differs from one engine to the next is here; every expression over the rows is elsewhere and
the same for all. Only aggregates leave an engine, and for replay a bounded stretch of requests.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.traffic.functions import DUCKDB, PLAIN, SPARK, Functions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import ibis.expr.types as ir

    from costaudit.traffic.lines import Lines
    from costaudit.traffic.source import LogFile

MEMORY_LIMIT = "900MB"  # DuckDB's own; Python and its libraries come to some 250 MB beside it
SPARK_SCHEMES = ("spark", "pyspark", "sc")
KNOWN = ("duckdb", "spark", "clickhouse", "bigquery", "postgres", "snowflake", "trino")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A connection of Ibis, the functions it lacks there, and a folder for scratch files."""

    name: str
    con: Any
    functions: Functions
    scratch: Path

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What it raises when it cannot read its input."""
        if self.name != "duckdb":
            return (Exception,)
        import duckdb

        return (duckdb.Error,)

    @property
    def reads_files(self) -> bool:
        """Whether files of this machine can be given to it."""
        return self.name in ("duckdb", "pyspark")

    def parquet(self, files: Sequence[LogFile]) -> ir.Table:
        """A table over Parquet files.

        Raises:
            UsageError: they are damaged or differ in their columns.
        """
        paths = [str(file.path.absolute()) for file in files]
        try:
            if self.name == "duckdb":
                return self.con.read_parquet(paths, table_name="log", union_by_name=True)
            return self.con.read_parquet(paths if len(paths) > 1 else paths[0], table_name="log")
        except Exception as error:
            raise UsageError(
                f"{files[0].path} is no Parquet that can be read: {short(error)}"
            ) from error

    def text(self, lines: Lines) -> ir.Table:
        """A table of `text`, trimmed, with `file` and `line` where the engine can tell them."""
        if self.name == "duckdb":
            self.con.con.register("lines", lines.reader())
            return self.con.table("lines")
        paths = [str(file.path.absolute()) for file in lines.files]
        frame = self.con._session.read.text(paths).withColumnRenamed("value", "text")  # noqa: SLF001
        frame.createOrReplaceTempView("lines")
        table = self.con.table("lines")
        table = table.mutate(text=table.text.strip())
        if lines.header is not None:
            table = table.filter(table.text != lines.header.decode(errors="replace"))
        return table

    def keep(self, table: ir.Table, name: str) -> ir.Table:
        """Compute a table once; it lives as long as the engine, on disk where memory is short."""
        if self.name == "duckdb":
            self.con.raw_sql(f'CREATE TEMP TABLE "{name}" AS {self.con.compile(table)}')
            return self.con.table(name)
        return table.cache()

    def records(self, table: ir.Table) -> list[dict[str, Any]]:
        """The rows of a small table."""
        if self.name == "duckdb":  # Ibis's own way imports pandas: a third of a second
            found = self.con.con.sql(self.con.compile(table)).to_arrow_table()
            return list(found.to_pylist())
        return list(self.con.to_pyarrow(table).to_pylist())

    def scalar(self, value: ir.Scalar) -> Any:
        """One value."""
        (row,) = self.records(value.as_table())
        return next(iter(row.values()))

    def count(self, table: ir.Table) -> int:
        """The number of rows."""
        return int(self.scalar(table.count()))

    def table(self, name: str) -> ir.Table:
        """A table of the engine's own catalogue, `schema.name` or `name`.

        Raises:
            UsageError: there is none.
        """
        schema, _, last = name.rpartition(".")
        try:
            return self.con.table(last, database=schema or None)
        except Exception as error:
            hint = did_you_mean(last, self._tables(schema)[:50])
            raise UsageError(f"the backend has no table {name!r}", hint=hint) from error

    def _tables(self, schema: str) -> list[str]:
        """Names to suggest; none where the engine does not list them."""
        with suppress(Exception):
            if self.name == "duckdb":  # Ibis 12 does not list those of DuckDB 2
                return [row[2] for row in self.con.con.execute("SHOW ALL TABLES").fetchall()]
            return list(self.con.list_tables(database=schema or None))
        return []


@contextmanager
def connect(url: str | None = None) -> Iterator[Engine]:
    """DuckDB in this process, or the engine at `url`; closed at the end.

    `duckdb:///path/to/file` opens a database, read only; `spark://local[2]` starts Spark on this
    machine, `spark://host:7077` and `sc://host` join one; the other URLs are Ibis's:
    `clickhouse://`, `bigquery://`, `postgres://`, …

    Raises:
        UsageError: the engine is not installed or cannot be reached. Passwords are not repeated.
    """
    scratch = Path(tempfile.mkdtemp(prefix="costaudit-traffic-"))
    engine = None
    try:
        engine = _open(url, scratch)
        yield engine
    finally:
        if engine is not None and engine.name == "duckdb":
            with suppress(Exception):
                engine.con.disconnect()
        shutil.rmtree(scratch, ignore_errors=True)


def _open(url: str | None, scratch: Path) -> Engine:
    scheme = (url or "duckdb").partition(":")[0]
    try:
        import ibis

        if scheme == "duckdb":
            name, con, functions = "duckdb", _duckdb(ibis, scratch, url or ""), DUCKDB
        elif scheme in SPARK_SCHEMES:
            name, con, functions = "pyspark", _spark(ibis, url or ""), SPARK
        else:
            name, con, functions = scheme, ibis.connect(url), PLAIN
        return Engine(name=name, con=con, functions=functions, scratch=scratch)
    except ImportError as error:
        extra = "pyspark" if scheme in SPARK_SCHEMES else scheme
        raise UsageError(
            f"--backend {scheme}: what it needs is not installed",
            hint=f"pip install 'ibis-framework[{extra}]'",
        ) from error
    except Exception as error:
        hint = f"backends are URLs of: {', '.join(KNOWN)}"
        raise UsageError(f"--backend {scheme}: {short(error)}", hint=hint) from error


def _duckdb(ibis: Any, scratch: Path, url: str) -> Any:
    """A database in memory, or the file that the URL names, read only."""
    database = url.partition("://")[2]
    con = ibis.duckdb.connect(
        database or ":memory:",
        read_only=bool(database),
        memory_limit=MEMORY_LIMIT,
        temp_directory=str(scratch / "spill"),
        preserve_insertion_order="false",  # rows carry their line numbers
        autoinstall_known_extensions="false",  # reading a log never downloads anything
        autoload_known_extensions="false",
    )
    con.raw_sql("SET enable_progress_bar = false")
    con.raw_sql("SET TimeZone = 'UTC'")
    con.raw_sql("SET lambda_syntax = 'ENABLE_SINGLE_ARROW'")  # what Ibis writes
    return con


def _spark(ibis: Any, url: str) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    place = url.partition("://")[2]
    if url.startswith("sc://"):
        builder = builder.remote(url)
    elif url.startswith("spark://") and re.fullmatch(r"[^\[\]]+:\d+", place):
        builder = builder.master(url)
    else:
        builder = builder.master(place or "local[*]").config("spark.driver.host", "127.0.0.1")
        builder = builder.config("spark.driver.bindAddress", "127.0.0.1")
    session = (
        builder.config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.legacy.parquet.nanosAsLong", "true")
        .getOrCreate()
    )
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return ibis.pyspark.connect(session)


def short(error: BaseException) -> str:
    """First line of an engine's message, without the password of an URL within."""
    text = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    return re.sub(r"://[^@\s/]*@", "://…@", text)

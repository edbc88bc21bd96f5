"""A log opened: its rows in an engine, judged, with what was left out on the way."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.errors import CostauditError, UsageError
from costaudit.traffic.clock import Clock, read_clock
from costaudit.traffic.engine import Engine, connect, short
from costaudit.traffic.layout import Head, Layout
from costaudit.traffic.lines import Lines
from costaudit.traffic.recognise import lay_out
from costaudit.traffic.repeats import each_once
from costaudit.traffic.rows import from_columns, from_lines, judged, wanted
from costaudit.traffic.source import find_files, names_files
from costaudit.traffic.text_log import TextLog, flat, look

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from costaudit.traffic.source import LogFile

HEAD_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLog:
    """The rows of a log as `rows.judged` has them, and with each request once."""

    engine: Engine
    head: Head
    layout: Layout
    clock: Clock
    rows: ir.Table  # each request once
    weighted: ir.Table  # the same for sums: see `repeats.Once`
    reasons: Sequence[str]
    duplicates: int
    lines: Lines | None  # of text files
    files: Sequence[LogFile]
    notes: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether a row is a request, not the sum of a window."""
        return self.layout.kind == "requests"


@contextmanager
def open_log(
    source: str, mapping: Mapping[str, str] | None, backend: str | None
) -> Iterator[OpenLog]:
    """Open a path, a glob or, with a backend, a table.

    Raises:
        UsageError: the source cannot be read or its columns are not understood.
    """
    files = find_files(source) if backend is None or names_files(source) else ()
    with connect(backend) as engine:
        if files and not engine.reads_files:
            raise UsageError(
                f"files are not read through --backend {engine.name}",
                hint="give the name of a table there, or leave --backend out",
            )
        try:
            if files and not files[0].parquet:
                yield _of_text(look(files, scratch=engine.scratch), engine, mapping, source)
            else:
                table = engine.parquet(files) if files else engine.table(source)
                yield _of_table(table, engine, mapping, source, files)
        except CostauditError:
            raise
        except engine.failures as error:
            raise UsageError(f"{source} cannot be read: {short(error)}") from error


def _of_table(
    table: ir.Table,
    engine: Engine,
    mapping: Mapping[str, str] | None,
    source: str,
    files: Sequence[LogFile],
) -> OpenLog:
    sample = engine.records(table.limit(HEAD_ROWS))
    rows = tuple({".".join(path): value for path, value in flat(row)} for row in sample)
    columns = tuple(dict.fromkeys(name for row in rows for name in row)) or tuple(table.columns)
    head = Head(columns=columns, rows=rows)
    layout = lay_out(head, mapping, source=source)
    typed = from_columns(table, wanted(layout))
    return _opened(typed, engine, head, layout, lines=None, files=files)


def _of_text(
    log: TextLog, engine: Engine, mapping: Mapping[str, str] | None, source: str
) -> OpenLog:
    layout = lay_out(log.head, mapping, source=source)
    lines = Lines(files=log.files, header=log.header)
    fields = from_lines(engine.text(lines), log, wanted(layout), engine.functions)
    return _opened(fields, engine, log.head, layout, lines=lines, files=log.files)


def _opened(
    table: ir.Table,
    engine: Engine,
    head: Head,
    layout: Layout,
    *,
    lines: Lines | None,
    files: Sequence[LogFile],
) -> OpenLog:
    clock = read_clock(head, layout, table.time.type(), engine.functions)
    every, reasons = judged(table, layout, clock, engine.functions)
    if lines is not None:
        every = _parsed_once(every, lines, engine)
    once = each_once(every, engine)
    return OpenLog(
        engine=engine,
        head=head,
        layout=layout,
        clock=clock,
        rows=once.rows,
        weighted=once.weighted,
        reasons=reasons,
        duplicates=once.dropped,
        lines=lines,
        files=files,
        notes=once.notes,
    )


def _parsed_once(rows: ir.Table, lines: Lines, engine: Engine) -> ir.Table:
    """Lines pass but once: keep what was read from them in the engine."""
    try:
        return engine.keep(rows, "rows")
    except Exception:
        if lines.failure is not None:
            raise lines.failure from None
        raise

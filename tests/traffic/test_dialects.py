"""The expressions compile for engines that are not here; that they run there is not shown."""

from __future__ import annotations

from datetime import UTC, datetime

import ibis
import pytest
from ibis.backends.sql import compilers

from costaudit.traffic import reduce, repeats, rows
from costaudit.traffic.clock import read_clock
from costaudit.traffic.functions import PLAIN
from costaudit.traffic.layout import Head
from costaudit.traffic.recognise import lay_out

ROW = {"created_at": datetime.now(UTC), "prompt_tokens": 1, "completion_tokens": 2, "id": "a"}
KINDS = {"created_at": "timestamp('UTC')", "prompt_tokens": "int64", "completion_tokens": "int32",
         "id": "string"}  # fmt: skip


class Compiling:
    """An engine that compiles what it is asked for and finds nothing."""

    functions = PLAIN

    def __init__(self, compiler):
        self.compiler = compiler
        self.queries = []

    def records(self, table):
        self.queries.append(self.compiler.to_sqlglot(table).sql(self.compiler.dialect))
        return []

    def keep(self, table, name):
        self.records(table)
        return table

    def count(self, table):
        return len(self.records(table))


@pytest.mark.parametrize("name", ["Postgres", "ClickHouse", "BigQuery", "Snowflake", "Trino"])
def test_the_queries_compile(name):
    engine = Compiling(getattr(compilers, f"{name}Compiler")())
    head = Head(columns=tuple(KINDS), rows=(ROW,))
    layout = lay_out(head, source="log")
    table = rows.from_columns(ibis.table(KINDS, name="log"), rows.wanted(layout))
    clock = read_clock(head, layout, table.time.type(), PLAIN)
    judged, _ = rows.judged(table, layout, clock, PLAIN)
    judged = repeats.each_once(judged, engine).weighted
    reduce.per_window(judged, engine, width_us=3_600_000_000)
    reduce.histogram(judged, engine)
    assert len(engine.queries) >= 4
    assert all("prompt_tokens" in query or "request_id" in query for query in engine.queries)

"""Requests that were logged more than once, by their id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from costaudit.traffic.engine import Engine

FEWEST_LEFT_SHARE = 1 / 3  # if dropping repeats of an id left fewer rows, it is no request's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Rows with each request once, in two forms.

    `rows` are just these. `weighted` are all rows, with weight 1, the repeated ones again with
    weight -1, and for each of those requests one row of weight 1: the same sums, but no row needs
    its id looked at. Times of repeats stay in its first and last time.
    """

    rows: ir.Table
    weighted: ir.Table
    dropped: int = 0
    notes: tuple[str, ...] = ()


def each_once(rows: ir.Table, engine: Engine) -> Once:
    """Each sound request once, the other rows as they are.

    A repeated id is one request logged more than once: it came at the earliest time, and the
    longest of its lengths is the complete one. Nothing is grouped by id but the few rows that may
    repeat: short digests are counted first.
    """
    if "request_id" not in rows.columns:
        return _untouched(rows)
    suspects = _suspects(rows, engine)
    if not engine.count(suspects):
        return _untouched(rows)
    order = [name for name in rows.columns if name != "request_id"]
    usable = (rows.code == 0) & rows.request_id.notnull()
    suspected = usable & _digest(rows, engine).isin(suspects.digest)
    marked = engine.keep(rows.filter(suspected), "marked")
    once = engine.keep(
        marked.group_by("request_id").aggregate(
            repeats=marked.count() - 1,
            **{name: _merged(marked[name], name).cast(rows[name].type()) for name in order},
        ),
        "once",
    )
    dropped, total = int(engine.scalar(once.repeats.sum()) or 0), engine.count(rows)
    if total - dropped < FEWEST_LEFT_SHARE * total:
        why = f"most rows share their id with others: {total:,} rows, {dropped:,} repeats; all kept"
        return _untouched(rows, why)
    single, marked, once = (
        table.select(**{name: table[name].cast(rows[name].type()) for name in order})
        for table in (rows.filter(~suspected), marked, once)
    )
    weighted = _weighing(rows.select(*order), 1)
    weighted = weighted.union(_weighing(marked, -1)).union(_weighing(once, 1))
    return Once(rows=single.union(once), weighted=weighted, dropped=dropped)


def _untouched(rows: ir.Table, *notes: str) -> Once:
    if "request_id" in rows.columns:
        rows = rows.drop("request_id")
    return Once(rows=rows, weighted=_weighing(rows, 1), notes=notes)


def _suspects(rows: ir.Table, engine: Engine) -> ir.Table:
    """Digests that occur more than once."""
    named = rows.filter(rows.request_id.notnull())
    digests = named.select(digest=_digest(named, engine))
    counted = digests.group_by("digest").aggregate(times=digests.count())
    return engine.keep(counted.filter(counted.times > 1).select("digest"), "suspects")


def _digest(rows: ir.Table, engine: Engine) -> Any:
    return engine.functions.digest(rows.request_id.cast("string"))


def _weighing(rows: ir.Table, weight: int) -> ir.Table:
    import ibis

    return rows.mutate(weight=ibis.literal(weight, "int64"))


def _merged(column: Any, name: str) -> Any:
    if name in ("time_us", "file", "line"):
        return column.min()
    return column.arbitrary() if name == "block_hashes" else column.max()

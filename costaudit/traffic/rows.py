"""Expressions that turn the columns of a log into sound rows, and name what is wrong with others.

The same on every engine: lines are split, fields read as numbers and times, and each row gets the
code of the first reason against it; 0 is a sound row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import costaudit.traffic.clock as clocks
from costaudit.traffic.layout import RATES, RESPONSE_CACHE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from costaudit.traffic.clock import Clock
    from costaudit.traffic.functions import Functions
    from costaudit.traffic.layout import Layout
    from costaudit.traffic.text_log import TextLog

    Reasons = list[tuple[str, Any]]

MAX_TOKENS = 10_000_000  # beyond the longest context that is offered; more is a broken record
MAX_SUM = 1e15  # of a window; beyond it whole numbers are no longer exact
COMMA_IN_QUOTES = "\x01"
SHOWN_CHARACTERS = 160
BROKEN = ("not a JSON object", "unbalanced quotes", "wrong number of fields")
COUNTS = ("requests", "prompt_tokens", "output_tokens", "cached_prompt_tokens")


def wanted(layout: Layout) -> dict[str, str]:
    """Name in the table of rows → column of the log."""
    extra = {f"extra_{i}": column for i, column in enumerate(layout.extra_prompt)}
    return {**layout.columns, **extra}


def from_columns(table: ir.Table, columns: Mapping[str, str]) -> ir.Table:
    """The wanted columns of a typed table; `a.b` is field b of column a."""
    return table.select(**{name: _column(table, column) for name, column in columns.items()})


def from_lines(
    lines: ir.Table, log: TextLog, columns: Mapping[str, str], functions: Functions
) -> ir.Table:
    """The wanted fields of text lines, as text; `broken` is an index into BROKEN, or NULL."""
    lines = lines.filter(lines.text != "")
    if log.paths:
        return _json_fields(lines, log, columns, functions)
    if log.pattern:
        names = list(log.head.columns)
        lines = lines.filter(lines.text.re_search(log.pattern))
        found = {
            n: lines.text.re_extract(log.pattern, names.index(c) + 1) for n, c in columns.items()
        }
        return lines.mutate(**found, broken=_none())
    return _csv_fields(lines, log, columns)


def judged(
    table: ir.Table, layout: Layout, clock: Clock, functions: Functions
) -> tuple[ir.Table, tuple[str, ...]]:
    """Sound numbers, the code of a reason against each row (0: none), and the reasons by code.

    Columns: time_us, requests, prompt_tokens, output_tokens, cached_prompt_tokens, zoned, code,
    shown, and where the log has them end_us, request_id, block_hashes, file, line.
    """
    import ibis

    time_us = clocks.micros(table.time, clock, functions)
    values: dict[str, Any] = {"time_us": time_us, "zoned": _zoned(table.time, clock)}
    if "window_end" in table.columns and layout.kind != "requests":
        values["end_us"] = clocks.micros(table.window_end, clock, functions)
    values |= _numbers(table, layout)
    written = {f"written_{name}": table[name] for name in _shown_fields(layout)}
    values |= written
    passed = ["file", "line", "broken", RESPONSE_CACHE]
    if layout.kind == "requests":
        passed += ["request_id", "block_hashes"]
    values |= {name: table[name] for name in passed if name in table.columns}
    rows = table.select(**values)
    reasons = _reasons(rows, layout, clock)
    code = ibis.cases(*((wrong, i + 1) for i, (_, wrong) in enumerate(reasons)), else_=0)
    rows = rows.mutate(code=code.cast("int16"))
    # Only of the rows that are left out; it would cost more than all the rest.
    shown = ibis.ifelse(rows.code > 0, _shown(rows, layout), ibis.null("string"))
    dropped = ("broken", RESPONSE_CACHE, *written)
    kept = [name for name in rows.columns if name not in dropped]
    return rows.select(*kept, shown=shown), ("", *(reason for reason, _ in reasons))


def _csv_fields(lines: ir.Table, log: TextLog, columns: Mapping[str, str]) -> ir.Table:
    """Split at delimiters outside quotes; a record is one line.

    Cut at quotes, every second part lies within them, doubled quotes included; there the
    delimiter is hidden first.
    """
    import ibis

    names = list(log.head.columns)
    parts = lines.text.split('"')
    hidden = parts.map(
        lambda part, i: ibis.ifelse(i % 2 == 1, part.replace(log.delimiter, COMMA_IN_QUOTES), part)
    ).join("")
    quoted = lines.text.contains('"')
    lines = lines.mutate(
        fields=ibis.ifelse(quoted, hidden, lines.text).split(log.delimiter),
        open=ibis.ifelse(quoted, parts.length() % 2 == 0, ibis.literal(value=False)),
    )
    lines = lines.mutate(width=lines.fields.length())
    broken = ibis.cases((lines.open, 1), (lines.width != len(names), 2), else_=_none())
    found = {name: _cell(lines, names.index(column)) for name, column in columns.items()}
    return lines.mutate(**found, broken=broken).drop("fields", "open", "width", "text")


def _cell(lines: ir.Table, index: int) -> Any:
    import ibis

    there = lines.width > index  # Spark raises where an index is beyond the end
    return ibis.ifelse(there, lines.fields[index], ibis.null("string")).nullif("")


def _json_fields(
    lines: ir.Table, log: TextLog, columns: Mapping[str, str], functions: Functions
) -> ir.Table:
    import ibis

    sound = functions.is_object(lines.text)
    found = {
        name: ibis.ifelse(
            sound, functions.json_text(lines.text, log.paths[column]), ibis.null("string")
        )
        for name, column in columns.items()
    }
    broken = ibis.ifelse(sound, _none(), 0)
    return lines.mutate(**found, broken=broken).drop("text")


def _none() -> Any:
    import ibis

    return ibis.null("int16")


def _column(table: ir.Table, column: str) -> Any:
    if column in table.columns:
        return table[column]
    value: Any = table
    for key in column.split("."):
        value = value[key]
    return value


def _zoned(time: Any, clock: Clock) -> Any:
    import ibis

    if clock.kind != "text" or clock.relative:
        return ibis.literal(0, "int16")
    return time.cast("string").re_search(clocks.ZONED).cast("int16")


def _number(column: Any) -> Any:
    """A column as integers where it has them, else as floats; NULL for what is no number."""
    kind = column.type()
    if kind.is_string():
        return column.try_cast("float64")
    return column.cast("int64") if kind.is_integer() else column.cast("float64")


def _numbers(table: ir.Table, layout: Layout) -> dict[str, Any]:
    import ibis

    suffix = "_per_s" if layout.kind == "rates" else ""
    found = {
        name: _number(table[name + suffix]) for name in COUNTS if name + suffix in table.columns
    }
    for extra in (name for name in table.columns if name.startswith("extra_")):
        found["prompt_tokens"] = found["prompt_tokens"] + _number(table[extra]).fill_null(0)
    if "total_tokens" in table.columns:
        for name, other in (("prompt_tokens", "output_tokens"), ("output_tokens", "prompt_tokens")):
            if name not in found and other in found:
                found[name] = _number(table.total_tokens) - found[other]
    return {name: found.get(name, ibis.null("float64")) for name in COUNTS}


def _shown_fields(layout: Layout) -> list[str]:
    return [n for n in ("time", *RATES, *COUNTS, "total_tokens") if n in layout.columns]


def _shown(rows: ir.Table, layout: Layout) -> Any:
    """What a rejected row looks like: the fields that were read, as they were written."""
    import ibis

    parts = [
        ibis.literal(f"{layout.columns[name]}=")
        + rows[f"written_{name}"].cast("string").fill_null("")
        for name in _shown_fields(layout)
    ]
    return ibis.literal(", ").join(parts)[:SHOWN_CHARACTERS].replace(COMMA_IN_QUOTES, ",")


def _reasons(rows: ir.Table, layout: Layout, clock: Clock) -> Reasons:
    reasons: Reasons = []
    if "broken" in rows.columns:
        reasons += [(name, rows.broken == i) for i, name in enumerate(BROKEN)]
    if RESPONSE_CACHE in rows.columns:
        served = rows[RESPONSE_CACHE].cast("string").strip().lower() == "true"
        reasons.append(("answered from the proxy's own cache", served))
    reasons += [("no readable time", rows.time_us.isnull())]
    reasons += [("time out of any log's range", ~clocks.in_range(rows.time_us, clock))]
    if layout.kind == "requests":
        for name, why in (("prompt_tokens", ""), ("output_tokens", " (failed or cancelled)")):
            reasons += _against_length(rows[name], name.replace("_", " "), why)
    else:
        for name in COUNTS[:3]:  # what was cached need not be known
            if name in layout.columns or f"{name}_per_s" in layout.columns:
                reasons += _against_sum(rows[name], name.replace("_", " "))
    cached = rows.cached_prompt_tokens
    wrong = (cached < 0) | (cached > rows.prompt_tokens)
    return [*reasons, ("cached tokens below zero or above the prompt's", wrong)]


def _against_length(tokens: Any, name: str, zero: str) -> Reasons:
    whole = tokens.type().is_integer()
    return [
        (f"{name} missing or no number", tokens.isnull()),
        (f"negative {name}", tokens < 0),
        (f"zero {name}{zero}", tokens == 0),
        (f"more than {MAX_TOKENS:,} {name}", tokens > MAX_TOKENS),
        *([] if whole else [(f"{name} no whole number", tokens != tokens.floor())]),
    ]


def _against_sum(value: Any, name: str) -> Reasons:
    return [
        (f"{name} missing or no number", value.isnull()),
        (f"negative {name}", value < 0),
        (f"{name} beyond {MAX_SUM:.0e}", value > MAX_SUM),
    ]

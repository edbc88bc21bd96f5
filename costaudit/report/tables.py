"""Any table of a document as CSV: a dotted path names it, so none needs to be listed by hand.

A list of objects is one row each, an object one row per entry; what is nested gets a dotted
column, lists of numbers side by side (a thinned gauge) become rows of their own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from costaudit.audit.document import lookup
from costaudit.ground.errors import UsageError, did_you_mean

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins so


def table_csv(document: Mapping[str, Any], name: str) -> str:
    """The table at the dotted path `name`, such as "bill.slices", as CSV with a header.

    Raises:
        UsageError: the document has no such table.
    """
    try:
        _, node = lookup(document, name)
    except KeyError:
        node = None
    if not isinstance(node, (list, Mapping)) or not node:
        hint = did_you_mean(name, tables(document))
        raise UsageError(f"this audit has no table {name!r}", hint=hint)
    rows = [row for entry in _entries(node) for row in _exploded(_flat(entry))]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def tables(node: Any, path: str = "") -> list[str]:
    """Paths of all lists that hold something, and of the sections."""
    found = []
    for key, value in node.items() if isinstance(node, Mapping) else ():
        below = f"{path}.{key}" if path else str(key)
        if isinstance(value, list) and value:
            found.append(below)
        elif isinstance(value, Mapping) and value:
            found += [*([below] if not path else []), *tables(value, below)]
    return found


def _entries(node: Any) -> list[Mapping[str, Any]]:
    match node:
        case Mapping():
            return [{"name": path, "value": value} for path, value in _flat(node).items()]
        case [Mapping(), *_]:
            return [entry for entry in node if isinstance(entry, Mapping)]
        case [list(), *_]:
            return [{str(place): v for place, v in enumerate(row)} for row in node]
        case _:
            return [{"value": value} for value in node]


def _flat(node: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        below = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            flat |= _flat(value, below)
        else:
            flat[below] = value
    return flat


def _exploded(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A row per place of the lists of numbers in it; a row without such lists as it is."""
    lists = {name: v for name, v in row.items() if isinstance(v, list) and v and _numbers(v)}
    if not lists:
        return [row]
    own = {name: value for name, value in row.items() if name not in lists}
    length = max(map(len, lists.values()))
    return [
        own | {name: v[place] if place < len(v) else None for name, v in lists.items()}
        for place in range(length)
    ]


def _numbers(values: list[Any]) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _cell(value: Any) -> Any:
    """Numbers as they are; words so that no spreadsheet takes them for a formula."""
    if isinstance(value, list):
        value = "; ".join(map(_words, value))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _words(item: Any) -> str:
    if isinstance(item, Mapping):
        return ", ".join(f"{name}={value}" for name, value in item.items())
    return str(item)

"""The Audit document: its JSON Schema, its addresses, and what a schema cannot say of it.

A dotted path addresses a value: keys joined by dots, list entries by their place or their `id`:
"phases.decode.mbu", "bill.slices.5.share" or, the same, "bill.slices.padding.share".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SCHEMA = "costaudit.audit/1"
TREND_SCHEMA = "costaudit.trend/1"  # of a document over several audits
CLOSURE = 1e-9  # slices sum to the whole to this share of it


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document."""
    text = (Path(__file__).parent / "audit.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, with its dotted path (list entries by place)."""
    match node:
        case Mapping():
            for key, value in node.items():
                yield from leaves(value, f"{path}.{key}" if path else str(key))
        case list():
            for place, value in enumerate(node):
                yield from leaves(value, f"{path}.{place}")
        case _:
            yield path, node


def lookup(document: Mapping[str, Any], path: str) -> tuple[str, Any]:
    """The value at a dotted path, with the path by places.

    Raises:
        KeyError: the document has no such place.
    """
    node: Any = document
    walked = []
    for key in path.split("."):
        if isinstance(node, list):
            place = _place(node, key)
            walked.append(str(place))
            node = node[place]
        elif isinstance(node, Mapping) and key in node:
            walked.append(key)
            node = node[key]
        else:
            raise KeyError(path)
    return ".".join(walked), node


def why_unknown(document: Mapping[str, Any], path: str) -> str:
    """Why the value at `path` is null; an entry of `unknown` covers its path and all below it."""
    for entry in document["unknown"]:
        if path == entry["what"] or path.startswith(entry["what"] + "."):
            return str(entry["why"])
    return ""


def unexplained_nulls(document: Mapping[str, Any]) -> list[str]:
    """Paths of nulls without an entry in `unknown`."""
    return [p for p, value in leaves(document) if value is None and not why_unknown(document, p)]


def does_not_close(document: Mapping[str, Any]) -> str:
    """What is wrong with the sum of the bill's slices; "" when they sum to the whole."""
    bill = document["bill"]
    known = [s["gpu_s"] for s in bill["slices"] if s["gpu_s"] is not None]
    shares = [s["share"] for s in bill["slices"] if s["share"] is not None]
    whole = bill.get("gpu_s", math.fsum(known))
    if abs(math.fsum(known) - whole) > CLOSURE * abs(whole):
        return f"slices sum to {math.fsum(known)!r} device-seconds of {whole!r}"
    if shares and abs(math.fsum(shares) - 1) > CLOSURE:
        return f"shares sum to {math.fsum(shares)!r}"
    return ""


def _place(items: list[Any], key: str) -> int:
    if key.isdecimal() and int(key) < len(items):
        return int(key)
    for place, item in enumerate(items):
        if isinstance(item, Mapping) and item.get("id") == key:
            return place
    raise KeyError(key)

"""Prometheus text → samples: bounded, and a damaged line costs itself alone.

The parser is prometheus-client's. Its `*_created` gauges (one per counter and histogram) are times,
no measurements, and are left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_LINES = 200_000
MAX_LINE_CHARS = 16_384  # a config-info line of vLLM has 1,200
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PARTS = ("_bucket", "_sum", "_count", "_total", "_info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One sample as on the wire: `name` keeps its `_sum`, `_count`, `_bucket` or `_total`."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """What a page holds; `malformed` lines were left out, `cut` lines were over the limit."""

    series: tuple[Series, ...]
    malformed: int = 0
    cut: int = 0


def family(name: str) -> str:
    """The name that the samples of a histogram, summary or counter share."""
    for part in _PARTS:
        if name.endswith(part):
            return name.removesuffix(part)
    return name


def families(text: str) -> frozenset[str]:
    """Names of all samples on a page, as on the wire."""
    lines = text.splitlines()[:MAX_LINES]
    found = (_NAME.match(line) for line in lines)
    return frozenset(match[0] for match in found if match)


def read_exposition(text: str, *, keep: Callable[[str], bool] = bool) -> Exposition:
    """The samples whose name on the wire `keep` wants; other lines are not even parsed."""
    lines = text.splitlines()
    cut = max(0, len(lines) - MAX_LINES)
    wanted, malformed = [], 0
    for line in lines[:MAX_LINES]:
        match = _NAME.match(line)
        if match is None or match[0].endswith("_created"):
            malformed += match is None and bool(line.strip()) and not line.startswith("#")
        elif keep(match[0]):
            if len(line) <= MAX_LINE_CHARS:
                wanted.append(line)
            else:
                cut += 1
    found = [_remembered(line) for line in wanted]
    if new := [line for line, one in zip(wanted, found, strict=True) if one is None]:
        learnt = iter(_learnt(new))
        found = [next(learnt) if one is None else one for one in found]
    series = tuple(one for one in found if one is not None and not math.isnan(one.value))
    return Exposition(series=series, malformed=malformed + found.count(None), cut=cut)


# A page says the same every second but for its numbers, and its labels cost the most to read: what
# stands before the last space of a line that was parsed → its name and labels.
_known: dict[str, tuple[str, Mapping[str, str]]] = {}


def _remembered(line: str) -> Series | None:
    head, _, value = line.rpartition(" ")
    known = _known.get(head)
    if known is None:
        return None
    try:
        return Series(name=known[0], labels=known[1], value=float(value))
    except ValueError:
        return None


def _learnt(lines: Sequence[str]) -> Sequence[Series | None]:
    """Of each line its sample; None where it is damaged."""
    found = _parsed(lines)
    if found is None:  # some line is damaged: one by one, to lose no other
        each = [_parsed([line]) for line in lines]
        return [one[0] if one else None for one in each]
    if len(_known) + len(lines) > MAX_LINES:
        _known.clear()
    for line, one in zip(lines, found, strict=True):
        head, _, value = line.rpartition(" ")
        if head.startswith(one.name) and _is(value, one.value):  # else a time stands behind it
            _known[head] = (one.name, one.labels)
    return found


def _is(text: str, value: float) -> bool:
    try:
        said = float(text)
    except ValueError:
        return False
    return said == value or (math.isnan(said) and math.isnan(value))


def _parsed(lines: Sequence[str]) -> list[Series] | None:
    """The samples of these lines, one each; None where one is damaged."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        found = [
            Series(name=sample.name, labels=sample.labels, value=float(sample.value))
            for found in text_string_to_metric_families("\n".join(lines) + "\n")
            for sample in found.samples
        ]
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError):
        return None
    return found if len(found) == len(lines) else None

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
    from collections.abc import Callable, Iterable, Mapping

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
    series = _parsed(wanted)
    if series is None:  # some line is damaged: one by one, to lose no other
        each = [_parsed([line]) for line in wanted]
        malformed += sum(found is None for found in each)
        series = [one for found in each for one in found or ()]
    return Exposition(series=tuple(series), malformed=malformed, cut=cut)


def _parsed(lines: Iterable[str]) -> list[Series] | None:
    """The samples of these lines; None where one is damaged."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        return [
            Series(name=sample.name, labels=sample.labels, value=float(sample.value))
            for found in text_string_to_metric_families("\n".join(lines) + "\n")
            for sample in found.samples
            if not math.isnan(sample.value)
        ]
    except (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError):
        return None

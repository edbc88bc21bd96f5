"""What the columns of a log mean: fields, formats, and a format laid over a log's columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Names = tuple[str, ...]

FIELDS = (
    "time", "prompt_tokens", "output_tokens", "cached_prompt_tokens", "total_tokens",
    "request_id", "block_hashes", "requests", "window_end", "requests_per_s",
    "prompt_tokens_per_s", "output_tokens_per_s", "cached_prompt_tokens_per_s",
)  # fmt: skip
RATES = tuple(name for name in FIELDS if name.endswith("_per_s"))
EXTRA_PROMPT = "uncounted_prompt_tokens"  # cached tokens beside prompt_tokens, not within
RESPONSE_CACHE = "response_cache"  # true where a proxy answered from its own cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of log. `formats/` holds one file each; `signature` tells it from the others.

    A format fits where every group of its signature has one of its columns; the longest
    signature wins. Column names are compared by their letters and digits alone. Fields that a
    format does not name are looked for under the usual names (`formats/usual.py`).
    """

    name: str
    source: str  # where the format is described
    signature: tuple[Names, ...] = ()
    columns: Mapping[str, Names] = field(default_factory=dict)
    relative_unit: str = ""  # of times that count from the start of the log: s, ms, us or ns
    zero_is_gap: bool = False  # a window with nothing in it was not recorded
    row_s: float | None = None  # what a row sums up, where the log itself does not tell
    silence_is_idle: bool = False  # a time without a row had no traffic
    time_prefix: str = ""  # what a time lacks to be one; such times have no year
    unroll: Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]] | None] | None = None
    line_pattern: str = ""  # of text logs: named groups are columns; other lines are no records


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The columns of a log and its first rows, values as they are written there."""

    columns: Names
    rows: tuple[Mapping[str, Any], ...]

    def values(self, column: str) -> list[Any]:
        """What the first rows hold in a column, empty cells left out."""
        return [row[column] for row in self.rows if row.get(column) not in (None, "")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A format laid over the columns of one log."""

    format: Format
    columns: Mapping[str, str]  # field → column
    extra_prompt: Names = ()  # columns that count prompt tokens beside `prompt_tokens`

    @property
    def kind(self) -> str:
        """`requests` (a row is one), `counts` (a row sums a window up) or `rates` (per second)."""
        if any(name in self.columns for name in RATES):
            return "rates"
        return "counts" if "requests" in self.columns else "requests"


def plain(name: str) -> str:
    """Letters and digits only: `Request tokens`, `request_tokens` and `requestTokens` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())

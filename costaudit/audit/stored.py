"""An audit as it was written: its JSON, or the page that carries it; read with suspicion."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from costaudit.audit.document import SCHEMA, TREND_SCHEMA, schema
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 32 << 20
ELEMENT = "audit"  # the id of the script element that carries the document


def is_stored(path: Path) -> bool:
    """Whether the file begins like JSON or like a page, not like a recording (which is SQLite)."""
    try:
        with path.open("rb") as file:
            return file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"<")
    except OSError:
        return False


def read_stored(path: Path) -> dict[str, Any]:
    """The audit, or the trend over several, that a JSON file or a page of costaudit holds.

    Raises:
        UsageError: it cannot be read, or holds none.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES} bytes; is it the right file?")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"cannot read {path}: {err}") from err
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        text = _embedded(text, path)
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as err:
        raise UsageError(f"{path} holds no valid JSON: {err}") from err
    document: dict[str, Any] = found if isinstance(found, dict) else {}
    told = document.get("schema")
    if told == TREND_SCHEMA and isinstance(document.get("runs"), list):
        return document
    if told != SCHEMA:
        raise UsageError(
            f"{path} is no audit of this costaudit",
            hint="write one with `costaudit report RUN --format json`, or as html",
        )
    missing = [name for name in schema()["required"] if name not in document]
    if missing and "pricing" in missing:
        raise UsageError(f"{path} lacks {', '.join(missing)}")
    return document


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _embedded(text: str, path: Path) -> str:
    page = _Page()
    page.feed(text)
    page.close()
    if not page.found:
        raise UsageError(
            f"{path} carries no audit",
            hint="only pages that `costaudit report --format html` wrote can be read back",
        )
    return "".join(page.found)


class _Page(HTMLParser):
    """Takes the text of the one script element that carries the document."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Into the element; a page that has two of them carries the first."""
        self._inside = tag == "script" and ("id", ELEMENT) in attrs and not self.found

    def handle_endtag(self, tag: str) -> None:
        """Out of it."""
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Text of the element."""
        if self._inside:
            self.found.append(data)

"""Text logs by their first lines: CSV, JSON lines, one JSON document, or a server's own log."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.traffic.layout import Head
from costaudit.traffic.lines import BOM, Lines, open_bytes
from costaudit.traffic.recognise import known_formats
from costaudit.traffic.source import LogFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

SAMPLE_LINES = 500
LOG_LINES = 20_000  # a server says much before its first throughput
MAX_DOCUMENT_BYTES = 64 << 20  # parsed as a whole: several times that in memory
MAX_DEPTH = 4
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLog:
    """How to read the lines of some text files; exactly one of the three ways is set.

    `delimiter` and `header` for CSV, `pattern` (with named groups) for logs, `paths` (column →
    keys from the outside in) for JSON lines.
    """

    files: Sequence[LogFile]
    head: Head
    delimiter: str = ""
    header: bytes | None = None
    pattern: str = ""
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def look(files: Sequence[LogFile], *, scratch: Path) -> TextLog:
    """How these files are to be read. Documents are laid out as JSON lines under `scratch`.

    Raises:
        UsageError: no line can be read, or no columns are to be found.
    """
    sample = list(islice(_texts(files), SAMPLE_LINES))
    with open_bytes(files[0]) as stream:
        opening = stream.read(4096).removeprefix(BOM).lstrip()[:1]
    if opening in (b"{", b"["):
        return _json_log(files, sample, scratch)
    if not sample:
        raise UsageError(
            f"{files[0].path} has no readable line", hint="its lines are too long to be a log's"
        )
    if any("\0" in text for text in sample[:5]):
        raise UsageError(f"{files[0].path} is not text", hint="CSV, JSON lines or Parquet is read")
    return _server_log(files, sample) or _csv_log(files, sample)


def _texts(files: Sequence[LogFile]) -> Iterator[str]:
    for _, _, texts in Lines(files=files).batches():
        for raw in texts.cast("binary").to_pylist():
            if text := raw.decode(errors="replace").removeprefix("\ufeff").strip():
                yield text


def _server_log(files: Sequence[LogFile], sample: Sequence[str]) -> TextLog | None:
    patterns = [form.line_pattern for form in known_formats() if form.line_pattern]
    if sample[0].count(",") > 1 and sample[1:2] and sample[1].count(",") == sample[0].count(","):
        return None
    for pattern in patterns:
        found = (re.search(pattern, text) for text in islice(_texts(files), LOG_LINES))
        rows = tuple(islice((match.groupdict() for match in found if match), SAMPLE_LINES))
        if rows:
            return TextLog(
                files=files, head=Head(columns=tuple(rows[0]), rows=rows), pattern=pattern
            )
    return None


def _csv_log(files: Sequence[LogFile], sample: Sequence[str]) -> TextLog:
    delimiter = max(DELIMITERS, key=sample[0].count)
    rows = list(csv.reader(sample, delimiter=delimiter))
    columns = tuple(dict.fromkeys(name.strip() for name in rows[0]))
    if all(_is_data(name) for name in columns):
        raise UsageError(
            f"{files[0].path} has no header line: it starts with {sample[0][:60]!r}",
            hint="put the names of the columns in the first line",
        )
    if len(columns) != len(rows[0]):
        twice = next(name for name in columns if [n.strip() for n in rows[0]].count(name) > 1)
        raise UsageError(f"{files[0].path} has two columns {twice!r}", hint="rename one")
    heads = tuple(dict(zip(columns, row, strict=False)) for row in rows[1:])
    with open_bytes(files[0]) as stream:
        header = stream.readline(1 << 20).removeprefix(BOM).strip()
    return TextLog(
        files=files, head=Head(columns=columns, rows=heads), delimiter=delimiter, header=header
    )


def _is_data(cell: str) -> bool:
    return bool(re.fullmatch(r"[\d.:\-+TZ /]*", cell.strip()))


def _json_log(files: Sequence[LogFile], sample: Sequence[str], scratch: Path) -> TextLog:
    parsed = [_parsed(text) for text in sample]
    records = [record for record in parsed if isinstance(record, dict)]
    first = parsed[0] if parsed else None
    if not isinstance(first, dict) or _unrolled(first) is not None:
        rolled = _documents(files, lenient=bool(records))
        if rolled is not None:
            path = scratch / "document.jsonl"
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rolled)
            files, records = (LogFile(path=path),), [dict(row) for row in rolled[:SAMPLE_LINES]]
    if not records:
        raise UsageError(f"{files[0].path} holds no JSON object", hint="one object a line is read")
    flattened = [dict(flat(record)) for record in records]
    paths = {".".join(path): path for row in flattened for path in row}
    rows = tuple({".".join(path): value for path, value in row.items()} for row in flattened)
    return TextLog(files=files, head=Head(columns=tuple(paths), rows=rows), paths=paths)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _documents(files: Sequence[LogFile], *, lenient: bool) -> list[Mapping[str, Any]] | None:
    """The rows of files that are a document each, or lines of documents; None: plain lines."""
    rows: list[Mapping[str, Any]] = []
    for file in files:
        with open_bytes(file) as stream:
            text = stream.read(MAX_DOCUMENT_BYTES + 1)
        if len(text) > MAX_DOCUMENT_BYTES:
            if lenient:
                return None
            raise UsageError(
                f"{file.path}: a JSON document over {MAX_DOCUMENT_BYTES >> 20} MiB is not read",
                hint="write one object a line, as `jq -c '.[]'` does",
            )
        whole = _parsed(text.decode(errors="replace"))
        if whole is None and lenient:
            whole = [_parsed(line) for line in text.decode(errors="replace").splitlines() if line]
            if not any(_unrolled(row) is not None for row in whole if isinstance(row, dict)):
                return None
        if whole is None:
            raise UsageError(f"{file.path} is not JSON", hint="one object a line is read")
        rows += _rows(whole)
    return rows


def _rows(whole: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(whole, list):
        return [row for part in whole if isinstance(part, dict) for row in _rows(part)]
    if not isinstance(whole, dict):
        return []
    unrolled = _unrolled(whole)
    if unrolled is not None:
        return unrolled
    lists = [v for v in whole.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    return [row for row in max(lists, key=len) if isinstance(row, dict)] if lists else [whole]


def _unrolled(record: Mapping[str, Any]) -> Iterable[Mapping[str, Any]] | None:
    found = (form.unroll(record) for form in known_formats() if form.unroll)
    return next((rows for rows in found if rows is not None), None)


def flat(
    record: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of nested objects, each with the keys that lead to it."""
    for key, value in record.items():
        path = (*above, key)
        if isinstance(value, dict) and len(path) < MAX_DEPTH:
            yield from flat(value, path)
        else:
            yield path, value

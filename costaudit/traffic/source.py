"""Which files a source names, and what they are: found by their first bytes, not by suffix."""

from __future__ import annotations

import difflib
import glob
from dataclasses import dataclass
from pathlib import Path

from costaudit.ground.errors import UsageError

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
OTHERS = {
    b"(\xb5/\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip",
    b"ORC": "ORC", b"Obj\x01": "Avro", b"ARROW1": "Arrow IPC", b"SQLite": "SQLite",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A file that can be read; text unless `parquet`."""

    path: Path
    gzip: bool = False
    parquet: bool = False


def find_files(source: str) -> tuple[LogFile, ...]:
    """The files that a path or a glob names, sorted; empty ones are left out.

    Raises:
        UsageError: nothing there, a folder, no regular file, all empty, unreadable, or a kind of
            file that is not read; the hint says what to do.
    """
    paths = _paths(source)
    files = tuple(file for path in paths if (file := _look(path)))
    if not files:
        raise UsageError(f"{source} is empty", hint="a log needs at least one request")
    if len({file.parquet for file in files}) > 1:
        raise UsageError(f"{source} mixes Parquet with text", hint="give one kind of file a run")
    return files


def names_files(source: str) -> bool:
    """Whether a source is files rather than the name of a table."""
    return "/" in source or glob.has_magic(source) or Path(source).exists()


def _paths(source: str) -> list[Path]:
    if "://" in source:
        raise UsageError(
            f"{source.partition('://')[0]}:// is not read from here",
            hint="copy the log to this machine, or name its table and give --backend URL",
        )
    path = Path(source).expanduser()
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.is_file())[:5]
        hint = f"give its files as a glob, in quotes: '{path}/*'"
        raise UsageError(
            f"{source} is a folder", hint=f"{hint} ({', '.join(inside)})" if inside else hint
        )
    if path.exists():
        return [path]
    if not glob.has_magic(source):
        raise UsageError(f"no file {source}", hint=_neighbour(path))
    found = [Path(p) for p in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - whole pattern
    files = [p for p in found if not p.is_dir()]
    if not files:
        raise UsageError(f"no file matches {source}", hint="put the pattern in quotes")
    return files


def _neighbour(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent} either"
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "check the path"


def _look(path: Path) -> LogFile | None:
    if not path.is_file():
        raise UsageError(f"{path} is not a regular file", hint="write the log to a file first")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", hint="check its rights"
        ) from error
    for magic, name in OTHERS.items():
        if start.startswith(magic):
            raise UsageError(
                f"{path} is {name}", hint="CSV, JSON lines and Parquet are read, plain or gzip"
            )
    if not start:
        return None
    return LogFile(path=path, gzip=start.startswith(GZIP), parquet=start.startswith(PARQUET))

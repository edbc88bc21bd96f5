"""A support bundle: a folder with the pages as they were read, and what the server is.

`NNN.prom` hold a page each under a line `# scraped_at UNIX_SECONDS`; `about.json` the engine, its
version and its settings with their origin. No header, no key and no address is in it.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError
from costaudit.record.passive.subject import Subject
from costaudit.record.servers.found import MetricsSource
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from pathlib import Path

_ABOUT = "about.json"
_MOST_ABOUT_BYTES = 1 << 20


class Bundle:
    """A new bundle in a folder of its own.

    Raises:
        UsageError: the folder cannot be made, or holds pages already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = any(folder.glob("*.prom"))
        except OSError as err:
            raise UsageError(f"cannot write {folder}: {err.strerror}", hint="name another") from err
        if held:
            raise UsageError(f"{folder} holds a bundle already", hint="name a new folder")

    def about(self, subject: Subject) -> None:
        """Keep what the server is."""
        source = subject.source
        self._write(
            _ABOUT,
            json.dumps(
                {
                    "engine": subject.engine,
                    "version": subject.version,
                    "model": subject.model,
                    "knobs": {
                        name: {"value": v.value, "origin": v.origin.value, "why": v.why}
                        for name, v in subject.knobs.items()
                    },
                    "servers": list(source.servers) if source else [],
                    "format": source.format if source else "",
                    "labels": dict(source.labels) if source else {},
                },
                indent=2,
            ),
        )

    def page(self, text: str) -> None:
        """Keep a page, stamped now."""
        self._write(f"{self._count:03d}.prom", f"# scraped_at {time.time():.6f}\n{text}")
        self._count += 1

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as err:
            raise UsageError(f"cannot write {path}: {err.strerror}", hint="name another") from err


def about_saved(folder: Path) -> Subject | None:
    """The subject of a bundle; None where the folder has none, or a damaged one."""
    try:
        with (folder / _ABOUT).open("rb") as file:
            told = json.loads(file.read(_MOST_ABOUT_BYTES))
        return _subject(told)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _subject(told: Any) -> Subject:
    return Subject(
        engine=str(told["engine"]),
        version=str(told["version"]),
        model=str(told["model"]),
        knobs={
            str(name): Value(
                value=one["value"] if isinstance(one["value"], (int, float, str)) else None,
                origin=Origin(one["origin"]),
                why=str(one["why"]),
            )
            for name, one in told["knobs"].items()
        },
        source=MetricsSource(
            url="",
            servers=tuple(str(name) for name in told["servers"]),
            version=str(told["version"]),
            format=str(told["format"]),
            labels={str(name): str(value) for name, value in told["labels"].items()},
        ),
    )

"""Saved pages of metrics (a support bundle) as if they were read from their server."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.facts.quantities import Page, falls
from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.client.load import Endpoint
from costaudit.record.passive.bundle import about_saved
from costaudit.record.passive.page import page_of
from costaudit.record.passive.subject import Subject, subject_of
from costaudit.record.servers.discovery import given_knobs
from costaudit.record.servers.fetch import MAX_BYTES, Reply
from costaudit.record.servers.look import Look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from costaudit.record.servers.found import Given

MOST_FILES = 2000
_BASE = "http://saved.invalid"
_STAMP = re.compile(r"#\s*scraped_at\s+(\d+(?:\.\d+)?)")
_TURNED = "the pages were given in another order than that in which their totals grow, which holds"
_HINT = "give pages of /metrics as files: FIRST.prom LAST.prom [MORE...]"


class SavedLook(Look):
    """A look at a server that is no longer there: it has its metrics, and nothing else."""

    def __init__(self, page: bytes) -> None:
        super().__init__(Endpoint(base_url=_BASE))
        self._page = page

    def _ask(self, url: str, body: Mapping[str, Any] | None) -> Reply:
        if body is None and url.endswith("/metrics"):
            return _reply(self._page, url)
        return Reply(url=url, status=404)


def read_saved(
    paths: Sequence[Path], *, seconds: float | None, given: Given
) -> tuple[Subject, tuple[Page, ...]]:
    """The subject and the pages of saved files (or of a bundle's folder), in order of time.

    Time is that of `# scraped_at` lines where all files have one, else `seconds` in equal parts.

    Raises:
        UsageError: fewer than two files, unreadable ones, ones without metrics that we know,
            or no time between them.
    """
    files = [file for path in paths for file in _files(path)]
    if len(files) < 2:  # noqa: PLR2004 - a window needs two
        raise UsageError("one page says nothing of rates: give two or more", hint=_HINT)
    if len(files) > MOST_FILES:
        raise UsageError(f"these are {len(files)} pages: {MOST_FILES} is the most", hint=_HINT)
    contents = [_content(path) for path in files]
    subject = _bundled(paths, given)
    if subject is None:
        fullest = max(range(len(files)), key=lambda place: len(contents[place]))
        subject = _recognised(files[fullest], contents[fullest], given)
    if subject.source is None:
        raise UsageError(f"{files[-1]} has no metrics that can be read", hint=_HINT)
    stamps = [_stamp(content) for content in contents]
    read = [page_of(_reply(content), subject.source, 0.0) for content in contents]
    timed = _timed(read, stamps, seconds)
    if falls(read) and not falls(timed):
        subject = replace(subject, notes=(*subject.notes, _TURNED))
    return subject, timed


def _recognised(path: Path, content: bytes, given: Given) -> Subject:
    try:
        return subject_of(SavedLook(content), model=None, given=given)
    except TargetError as err:
        raise UsageError(f"{path} holds no metrics of an LLM server", hint=_HINT) from err


def _files(path: Path) -> list[Path]:
    """The pages of a bundle's folder; a file stands for itself."""
    return sorted(path.glob("*.prom")) if path.is_dir() else [path]


def _bundled(paths: Sequence[Path], given: Given) -> Subject | None:
    """What a bundle says of its server, with what the user says in front."""
    found = about_saved(paths[0]) if len(paths) == 1 else None
    if found is None or given.engine is not None:
        return None
    return replace(found, knobs={**found.knobs, **given_knobs(given)})


def _timed(
    read: Sequence[Page], stamps: Sequence[float | None], seconds: float | None
) -> tuple[Page, ...]:
    times = [stamp for stamp in stamps if stamp is not None]
    if len(times) == len(read) and len(set(times)) == len(times):
        ordered = sorted(zip(times, read, strict=True), key=lambda two: two[0])
        return tuple(Page(t_s=t_s, quantities=page.quantities) for t_s, page in ordered)
    if seconds is None or not seconds > 0:
        raise UsageError(
            "the pages do not say when they were read",
            hint="say by --seconds how much time lies between the first and the last",
        )
    step_s = seconds / (len(read) - 1)
    pages = _in_order(read)
    return tuple(Page(t_s=n * step_s, quantities=p.quantities) for n, p in enumerate(pages))


def _in_order(read: Sequence[Page]) -> list[Page]:
    """As given; else turned round, or by their totals (FIRST LAST MORE), where these then grow."""
    given = list(read)
    by_total = sorted(read, key=_total)
    return next((one for one in (given, given[::-1], by_total) if not falls(one)), given)


def _total(page: Page) -> float:
    return sum(one.value for one in page.quantities.values() if one.total)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise UsageError(f"cannot read {path}: {err.strerror}", hint=_HINT) from err
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path} is longer than a metrics page can be", hint=_HINT)
    return content


def _stamp(content: bytes) -> float | None:
    found = _STAMP.match(content[:100].decode("utf-8", "replace"))
    return float(found[1]) if found else None


def _reply(content: bytes, url: str = f"{_BASE}/metrics") -> Reply:
    return Reply(url=url, status=200, headers={"content-type": "text/plain"}, body=content)

"""A diagnosis in a terminal; fits 80 columns and reads as well without colour."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from costaudit.report import figures
from costaudit.report.diagnosis_rows import fact_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.diagnosis.diagnosis import Diagnosis, Finding

WIDTH = 80
_BOLD, _DIM, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_SURE = {"sure": "", "likely": " (likely)", "possible": " (possible)"}


def diagnosis_text(found: Diagnosis, *, width: int = WIDTH, colour: bool = False) -> str:
    """The diagnosis as text of at most `width` columns."""
    lines = []
    for kind, text in _lines(found):
        wrapped = _wrapped(text, width)
        if colour and kind:
            wrapped = [f"{kind}{line}{_PLAIN}" for line in wrapped]
        lines += wrapped or [""]
    return "\n".join(line.replace("\N{NO-BREAK SPACE}", " ") for line in lines) + "\n"


def _lines(found: Diagnosis) -> Iterator[tuple[str, str]]:
    window = found.window
    name = " ".join(filter(None, (window.engine, window.version)))
    serves = f" serving {window.model}" if window.model else ""
    yield _BOLD, f"{name}{serves}"
    span = figures.duration(window.seconds)
    yield _DIM, f"{span} between the first and last of {window.scrapes} readings"
    if window.lost:
        yield _BOLD, f"it stopped answering: {window.lost}; this is of the time before"
    yield "", ""
    yield _BOLD, f"{found.state.value}: {found.summary}"
    for rank, one in enumerate(found.findings, 1):
        yield "", ""
        yield from _finding(f"{rank}. ", one, said=found.summary)
    if found.possible:
        yield "", ""
        yield _BOLD, "Worth a look (the metrics cannot tell)"
        for one in found.possible:
            yield from _finding("- ", one)
    yield "", ""
    yield _BOLD, "Figures"
    for row in fact_rows(found):
        note = f" ({row.note})" if row.note else ""
        yield "", f"  {row.label}: {row.text}{note}"
    if found.cannot_tell:
        yield "", ""
        names = ", ".join(found.cannot_tell)
        yield _DIM, f"Cannot tell here (--json says why): {names}"
    for note in window.notes:
        yield _DIM, f"  {note}"


def _finding(mark: str, one: Finding, *, said: str = "") -> Iterator[tuple[str, str]]:
    """One finding; a cause that was said above is not said again."""
    yield _BOLD, f"{mark}{one.title}{_SURE[one.confidence.value]}"
    if one.cause not in said:
        yield "", f"   Cause: {one.cause}"
    for seen in one.evidence:
        figure = figures.figure(seen.value, seen.unit)
        yield "", f"   Seen: {seen.what} {figure} [{seen.where}]"
    for fix in one.fixes:
        yield "", f"   Fix: {fix.flag}   (then look at: {fix.verify})"
    if one.advice:
        yield "", f"   Do: {one.advice}"
    if one.steps:
        yield _DIM, f"   Playbook: {', '.join(one.steps)} (costaudit steps ID)"


def _wrapped(text: str, width: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=True, break_on_hyphens=False
    )

"""A step's page: the sections of its module's docstring."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTIONS = (
    "Why it costs",
    "When it helps",
    "When it does not",
    "Risk",
    "Verify",
    "Sources",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The first line, then the text of each of SECTIONS as one paragraph."""

    title: str
    sections: Mapping[str, str]


class PageError(ValueError):
    """The docstring is no page; the message says what is wrong."""


def parse(docstring: str) -> Page:
    """The page in a module's docstring: a title, then each section's name at a line's start.

    Raises:
        PageError: no title, or a section is missing, empty, repeated or out of order.
    """
    title, *rest = inspect.cleandoc(docstring).splitlines() or [""]
    if not title:
        raise PageError("the docstring has no first line for a title")
    paragraphs: dict[str, list[str]] = {}
    for line in rest:
        name = next((s for s in SECTIONS if line == s or line.startswith(f"{s}  ")), None)
        if name in paragraphs:
            raise PageError(f"the section {name!r} stands twice")
        if name:
            paragraphs[name] = [line.removeprefix(name).strip()]
        elif line.strip() and not paragraphs:
            raise PageError(f"the text {line.strip()!r} stands before the first section")
        elif line.strip():
            paragraphs[next(reversed(paragraphs))].append(line.strip())
    sections = {name: " ".join(filter(None, lines)) for name, lines in paragraphs.items()}
    if tuple(sections) != SECTIONS:
        raise PageError(f"the sections are {', '.join(sections) or 'none'}")
    if empty := [name for name, text in sections.items() if not text]:
        raise PageError(f"the section {empty[0]!r} is empty")
    return Page(title=title, sections=sections)

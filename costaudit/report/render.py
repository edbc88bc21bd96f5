"""One door to all forms of a report."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never

from costaudit.ground.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


class Format(StrEnum):
    """The forms that a report takes."""

    CONSOLE = "console"
    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"


def format_named(name: str) -> Format:
    """The form of this name.

    Raises:
        UsageError: there is no such form.
    """
    try:
        return Format(name)
    except ValueError:
        hint = did_you_mean(name, [str(f) for f in Format])
        raise UsageError(f"there is no report format {name!r}", hint=hint) from None


def render(
    document: Mapping[str, Any], form: Format, *, width: int = 80, colour: bool = False
) -> str:
    """The audit as text; `width` (columns) and `colour` matter to the console only."""
    match form:
        case Format.CONSOLE:
            from costaudit.report.console import console_text

            return console_text(document, width=width, colour=colour)
        case Format.HTML:
            from costaudit.report.page import html_page

            return html_page(document)
        case Format.MARKDOWN:
            from costaudit.report.page import markdown

            return markdown(document)
        case Format.JSON:
            return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        case _:
            assert_never(form)

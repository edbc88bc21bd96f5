"""One door to all forms of a report."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, assert_never

from costaudit.audit.document import TREND_SCHEMA
from costaudit.ground.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor
    from pathlib import Path


class Format(StrEnum):
    """The forms that a report takes."""

    CONSOLE = "console"
    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"
    CSV = "csv"  # of one table
    SVG = "svg"  # of one chart
    PNG = "png"  # likewise


DRAWN = (Format.HTML, Format.SVG, Format.PNG)
_OF_A_TABLE, _OF_A_CHART = (Format.CSV,), (Format.SVG, Format.PNG)


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


def format_of(out: Path | None) -> Format:
    """The form that a file's name asks for: audit.html is a page; else what a terminal shows."""
    ending = out.suffix.lower().lstrip(".") if out is not None else ""
    named = {"htm": Format.HTML, "markdown": Format.MARKDOWN}
    return named.get(ending) or (Format(ending) if ending in list(Format) else Format.CONSOLE)


def check_part(form: Format, *, table: str | None, chart: str | None) -> str:
    """The table or chart that a form is of; "" for a form of the whole audit.

    Raises:
        UsageError: it is missing, or was given to a form that takes none.
    """
    from costaudit.report.chart import charts

    for option, given, forms in (("table", table, _OF_A_TABLE), ("chart", chart, _OF_A_CHART)):
        if given is not None and form not in forms:
            hint = f"--format {' or '.join(forms)}"
            raise UsageError(f"--{option} goes with another format than {form}", hint=hint)
        if given is None and form in forms:
            some = "bill.slices, playbook, unknown, ..." if option == "table" else list(charts())
            hint = f"one of {some if isinstance(some, str) else ', '.join(some)}"
            raise UsageError(f"{form} is of one {option}: name it with --{option}", hint=hint)
    return table or chart or ""


def render(
    document: Mapping[str, Any],
    form: Format,
    *,
    part: str = "",
    width: int = 80,
    colour: bool = False,
    other: Executor | None = None,
) -> str | bytes:
    """The audit, or the trend over several, in this form.

    `part` names the table of a CSV or the chart of a picture; `width` (columns) and `colour`
    matter to the console only; `other` draws charts, where there is another process.

    Raises:
        UsageError: there is no such table or chart.
    """
    match form:
        case Format.CSV:
            from costaudit.report.tables import table_csv

            return table_csv(document, part)
        case Format.SVG | Format.PNG:
            return _picture(document, part, form, other)
        case Format.JSON:
            return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        case Format.HTML:
            from costaudit.report.page import html_page

            return html_page(document, other)
        case Format.MARKDOWN:
            from costaudit.report.page import markdown

            return markdown(document)
        case Format.CONSOLE:
            return _console(document, width=width, colour=colour)
        case _:
            assert_never(form)


def _picture(document: Mapping[str, Any], name: str, form: Format, other: Executor | None) -> bytes:
    from costaudit.ground.beside import Begun
    from costaudit.report.figure import picture

    return Begun(other, picture, document, name, form).result()


def _console(document: Mapping[str, Any], *, width: int, colour: bool) -> str:
    if document["schema"] == TREND_SCHEMA:
        from costaudit.report.trend_rows import trend_text

        return trend_text(document, width=width)
    if "bill" not in document:
        from costaudit.report.pricing_console import pricing_text

        return pricing_text(document["pricing"], width=width, colour=colour)
    from costaudit.report.console import console_text

    return console_text(document, width=width, colour=colour)

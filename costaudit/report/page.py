"""The audit as one HTML page and as Markdown, from the templates in reports/templates."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

from costaudit.ground.shipped import shipped
from costaudit.report import drawing
from costaudit.report.view import view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$!])")


def html_page(document: Mapping[str, Any]) -> str:
    """One self-contained page; its policy allows nothing but its own style and script.

    Raises:
        FileNotFoundError: the installation has no templates.
    """
    seen = view(document)
    style, script = (asset(name) for name in ("page.css", "page.js"))
    dollars = document["bill"]["usd_per_1m_tokens"] is not None
    return (
        environment(autoescape=True)
        .get_template("page.html")
        .render(
            v=seen,
            bars=drawing.bars(seen.slices),
            roofline=drawing.roofline(document),
            orders=drawing.orders(seen.orders, dollars=dollars),
            style=style,
            script=script,
            style_hash=source_hash(style),
            script_hash=source_hash(script),
        )
    )


def markdown(document: Mapping[str, Any]) -> str:
    """The audit as Markdown with tables, for a pull request or a wiki.

    Raises:
        FileNotFoundError: the installation has no templates.
    """
    text = environment(autoescape=False).get_template("report.md").render(v=view(document))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def environment(*, autoescape: bool) -> Environment:
    """The shipped templates; escaping is off for Markdown alone."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(shipped("templates")),
        autoescape=autoescape,  # noqa: S701 - on for HTML; Markdown has the filter `md`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["md"] = markdown_text
    environment.filters["fence"] = markdown_code
    environment.filters["sentence"] = sentence
    return environment


def sentence(text: str) -> str:
    """A clause as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))


def markdown_code(text: str) -> str:
    """A fenced block whose fence is longer than any inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{text.strip()}\n{fence}"


def asset(name: str) -> str:
    """A style or script that ships beside the templates."""
    return (shipped("templates") / name).read_text(encoding="utf-8").strip()


def source_hash(text: str) -> str:
    """A source expression of a Content-Security-Policy for this very text."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"

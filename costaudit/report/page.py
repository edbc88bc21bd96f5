"""The audit as one HTML page and as Markdown, from the templates in reports/templates."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

from costaudit.audit.document import TREND_SCHEMA
from costaudit.ground.beside import Begun
from costaudit.ground.shipped import shipped
from costaudit.report import figures
from costaudit.report.fact_rows import origin_facts
from costaudit.report.figure import figures_of, script_json
from costaudit.report.pricing_rows import pricing_view
from costaudit.report.trend_rows import trend_rows
from costaudit.report.view import view

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from jinja2 import Environment, Template

_SECTIONS = "sections/"
_SCRIPTS = ("vendor/vega-runtime.min.js", "page.js")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$!])")


def html_page(document: Mapping[str, Any], other: Executor | None = None) -> str:
    """One self-contained page; its policy allows nothing but its own style and scripts.

    A trend over several runs has a page of its own, and so has a document that holds nothing but
    ways to pay. `other` draws the charts meanwhile, where there is another process.

    Raises:
        FileNotFoundError: the installation has no templates.
    """
    drawn = Begun(other, figures_of, document)
    name, parts = _parts(document)
    layout = _layout(name)
    return _laid_out(layout, document, charts=drawn.result(), **parts)


def _parts(document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The template of this document's page, and what it lays out beside the charts."""
    if document["schema"] == TREND_SCHEMA:
        return "trend.html", {"rows": trend_rows(document)}
    pricing = document["pricing"]
    priced = pricing_view(pricing) if "demand" in pricing else None
    if "bill" in document:
        return "page.html", {"v": view(document), "p": priced}
    source, origin = pricing["demand"]["source"], origin_facts(document)
    return "pricing.html", {"p": priced, "source": source, "origin": origin}


def _layout(name: str) -> Template:
    """A template of a page, compiled like the sections that it may include."""
    templates = environment(autoescape=True)
    for section in templates.list_templates(
        filter_func=lambda path: path.startswith(_SECTIONS) and path.endswith(".html")
    ):
        templates.get_template(section)
    return templates.get_template(name)


def _laid_out(layout: Template, document: Mapping[str, Any], **parts: Any) -> str:
    """A template with its style, its scripts, their hashes, and the document to be read back."""
    style = asset("page.css")
    scripts = [asset(name) for name in _SCRIPTS]
    return layout.render(
        **parts,
        audit=script_json(document),
        style=style,
        scripts=scripts,
        style_hash=source_hash(style),
        script_hashes=" ".join(map(source_hash, scripts)),
    )


def markdown(document: Mapping[str, Any]) -> str:
    """The audit as Markdown with tables, for a pull request or a wiki.

    Raises:
        FileNotFoundError: the installation has no templates.
    """
    templates = environment(autoescape=False)
    if document["schema"] == TREND_SCHEMA:
        text = templates.get_template("trend.md").render(rows=trend_rows(document))
    elif "bill" not in document:
        text = templates.get_template("pricing.md").render(p=pricing_view(document["pricing"]))
    else:
        text = templates.get_template("report.md").render(v=view(document))
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
    environment.filters["sentence"] = figures.sentence
    return environment


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

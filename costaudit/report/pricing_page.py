"""The advice on ways to pay as one HTML page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report.page import asset, environment, source_hash
from costaudit.report.pricing_drawing import load_duration
from costaudit.report.pricing_rows import pricing_view

if TYPE_CHECKING:
    from collections.abc import Mapping


def pricing_page(document: Mapping[str, Any]) -> str:
    """One self-contained page; its policy allows nothing but its own style.

    Raises:
        FileNotFoundError: the installation has no templates.
    """
    style = asset("page.css")
    return (
        environment(autoescape=True)
        .get_template("pricing.html")
        .render(
            p=pricing_view(document["pricing"]),
            curve=load_duration(document["pricing"]),
            model=document.get("target", {}).get("model", "Ways to pay"),
            source=document["pricing"]["demand"]["source"],
            style=style,
            style_hash=source_hash(style),
        )
    )

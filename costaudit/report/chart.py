"""What a chart is: a Vega-Lite specification of its data, and the sentence that says what it shows.

Charts are files of `report/charts/`, one each, found by being there: a module with a constant
CHART, whose name is the file's with dashes. `figures_of` in `report/figure.py` draws them.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Spec = dict[str, Any]

_KEY, _LETTER = 40, 7  # CSS px of a legend's entry and of each of its letters
WIDTH = 720  # CSS px of the static picture; the live one takes the width that is there
IDEAL, WASTE, OPEN = "var(--ideal)", "var(--waste)", "var(--open)"  # the page's own colours
INK, MUTED, LINE, ACCENT = "var(--ink)", "var(--muted)", "var(--line)", "var(--accent)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart.

    Attributes:
        title: of the figure, a few words.
        needs: sections of the document without which there is nothing to draw.
        spec: the Vega-Lite specification for an Audit document, with its data in it, without
            width, config and $schema; None where the document has nothing to draw. Colours are
            the constants of this module, so that light, dark and paper each have their own.
        says: what the drawn chart shows, in one or two sentences with figures; it is the caption
            and what a screen reader reads instead of the picture.
    """

    title: str
    needs: tuple[str, ...]
    spec: Callable[[Mapping[str, Any]], Spec | None]
    says: Callable[[Mapping[str, Any]], str]

    def of(self, document: Mapping[str, Any]) -> Spec | None:
        """The specification, or None where the document has nothing to draw."""
        return self.spec(document) if set(self.needs) <= set(document) else None


def charts() -> dict[str, Chart]:
    """All charts by name."""
    from costaudit.report import charts as folder

    names = sorted(found.name for found in pkgutil.iter_modules(folder.__path__))
    modules = {name: importlib.import_module(f"{folder.__name__}.{name}") for name in names}
    return {name.replace("_", "-"): module.CHART for name, module in modules.items()}


def values(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """Rows as the data of a specification or of one of its layers."""
    return {"values": [dict(row) for row in rows]}


def quantity(field: str, title: str | None, **more: Any) -> Spec:
    """A channel of numbers; `more` goes into it, `log=True` makes its scale logarithmic."""
    scale = dict(more.pop("scale", {}))
    if more.pop("log", False):
        scale |= {"type": "log"}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, **more}


def colours(field: str, by_name: Mapping[str, str], **more: Any) -> Spec:
    """A colour for each name, with a legend above the plot that folds where it is narrow."""
    scale = {"domain": list(by_name), "range": list(by_name.values())}
    longest = max(map(len, by_name), default=0)
    legend = {"columns": {"expr": f"max(1, floor(width / {_KEY + _LETTER * longest}))"}}
    return {
        "field": field,
        "type": "nominal",
        "title": None,
        "scale": scale,
        "legend": legend,
        **more,
    }


def tooltip(**fields: str) -> list[Spec]:
    """What a mark tells when pointed at: texts already in words, title by field."""
    return [{"field": f, "type": "nominal", "title": title} for f, title in fields.items()]

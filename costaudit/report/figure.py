"""Charts drawn: as static SVG, as a compiled specification that a page brings to life, as PNG."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.report.chart import WIDTH, charts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.report.chart import Chart, Spec

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # names the grammar; nothing is loaded
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_STILL_PADDING = {"left": 28, "right": 4, "top": 4, "bottom": 4}  # CSS px
_PNG_SCALE = 2.0  # sharp on the usual screens
PAPER = {  # the colours of a picture that leaves the page: `:root` of page.css
    "paper": "#fbfaf7",
    "card": "#ffffff",
    "ink": "#1a1d21",
    "muted": "#5a646e",
    "line": "#e2e0d9",
    "ideal": "#0d7a74",
    "waste": "#c8571b",
    "open": "#8b9097",
    "accent": "#0d7a74",
}
_AXIS = {
    "domainColor": "var(--line)",
    "gridColor": "var(--line)",
    "tickColor": "var(--line)",
    "labelColor": "var(--muted)",
    "titleColor": "var(--muted)",
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "labelOverlap": "greedy",
}
_CONFIG: Spec = {
    "font": _FONT,
    "background": None,
    "aria": False,  # the figure's own caption speaks
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {
        "orient": "top",
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "labelFontSize": 12,
        "labelLimit": 320,
        "columnPadding": 16,
    },
    "text": {"color": "var(--ink)", "fontSize": 12},
    "rule": {"color": "var(--ink)"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart of one document, ready for the page; every text is final."""

    name: str
    title: str
    says: str
    svg: str  # safe: made by vl-convert, its texts escaped
    vega: str  # the compiled specification, JSON that may stand in a script element


def figures_of(document: Mapping[str, Any]) -> dict[str, Figure]:
    """Every chart that this document has something for, by name."""
    specs = {name: (chart, chart.of(document)) for name, chart in charts().items()}
    return {
        name: _figure(name, chart, spec, document)
        for name, (chart, spec) in specs.items()
        if spec is not None
    }


def picture(document: Mapping[str, Any], name: str, form: str) -> bytes:
    """One chart as a file: `form` is "svg" or "png".

    Raises:
        UsageError: there is no chart of that name, or the document has nothing for it.
    """
    import vl_convert

    chart = charts().get(name)
    if chart is None:
        raise UsageError(f"there is no chart {name!r}", hint=did_you_mean(name, charts()))
    spec = chart.of(document)
    if spec is None:
        raise UsageError(f"this audit has nothing to draw as {name!r}")
    alone = {"title": chart.title, "background": PAPER["card"]}
    drawn = _folded(on_paper(whole(spec) | alone))
    if form == "png":
        return bytes(vl_convert.vegalite_to_png(drawn, scale=_PNG_SCALE))
    return str(vl_convert.vegalite_to_svg(drawn)).encode()


def wake_engine() -> None:
    """Start what draws charts in this process: it takes longer than all charts of a page."""
    import vl_convert

    vl_convert.vegalite_to_svg(whole({"data": {"values": []}, "mark": "bar"}))


def whole(spec: Spec) -> Spec:
    """A chart's own part with all that is common to all of them."""
    fit = {"type": "fit-x", "contains": "padding"}
    common = {"$schema": _SCHEMA, "width": WIDTH, "height": 300, "autosize": fit, "padding": 4}
    return common | spec | {"config": _CONFIG | spec.get("config", {})}


def on_paper(spec: Spec) -> Spec:
    """The specification with the page's colours put in: a picture knows no style sheet."""
    text = re.sub(r"var\(--([a-z]+)\)", lambda v: PAPER.get(v[1], v[0]), json.dumps(spec))
    painted: Spec = json.loads(text)
    return painted


def script_json(value: Any) -> str:
    """JSON that may stand between script tags, whatever strings it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _figure(name: str, chart: Chart, spec: Spec, document: Mapping[str, Any]) -> Figure:
    import vl_convert

    compiled = vl_convert.vegalite_to_vega(whole(spec))
    return Figure(
        name=name,
        title=chart.title,
        says=chart.says(document),
        svg=_own_ids(vl_convert.vega_to_svg(_folded(compiled)), name),
        vega=script_json(compiled),
    )


def _folded(compiled: Spec) -> Spec:
    """Ready for a picture that nobody measures again.

    Legends are folded beforehand: they would fold after their place was made. Names of rows have
    room, should the reader's fonts be wider than those that measured them.
    """
    text = re.sub(
        r'\{"(?:signal|expr)": "max\(1, floor\(width / (\d+)\)\)"\}',
        lambda found: str(max(1, WIDTH // int(found[1]))),
        json.dumps(compiled),
    )
    folded: Spec = json.loads(text)
    return folded | {"padding": _STILL_PADDING}


def _own_ids(svg: str, name: str) -> str:
    """The clips and gradients of one picture apart from those of the others on the page."""
    return re.sub(r'(id="|url\(#)(clip|gradient)', rf"\1{name}-\2", svg)

"""What a quantized model lost on a text, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.report import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

EXIT = {"passed": 0, "broken": 1, "inconclusive": 3}
_WHAT = {
    "perplexity": "perplexity rises by",
    "disagreement": "greedy tokens differ",
}


def quality_text(document: Mapping[str, Any]) -> str:
    """Both figures with their intervals, budgets and verdicts."""
    before, after = (document["perplexity"][side] for side in ("before", "after"))
    many = f"{figures.count(document['tokens'])} tokens in {document['windows']} windows"
    lines = [
        f"quality {document['result']}: {many}",
        f"perplexity {figures.significant(before)} before, {figures.significant(after)} after",
        "",
        f"{'':<22}{'measured':<34}{'budget':<9}verdict",
        *map(_line, document["losses"]),
    ]
    lines += ["", *document["notes"]] if document["notes"] else []
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ") + "\n"


def _line(loss: Mapping[str, Any]) -> str:
    between = figures.percent_range(loss["interval"]["low"], loss["interval"]["high"])
    measured = f"{figures.percent(loss['share'])} ({between})"
    budget = figures.percent(loss["budget"])
    return f"{_WHAT[loss['what']]:<22}{measured:<34}{budget:<9}{loss['result']}"

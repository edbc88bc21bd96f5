"""GitHub: workflow commands that annotate the budget file, and Markdown for summary and comment.

Commands and their escapes are those of actions/toolkit (packages/core/src/command.ts): `%`, CR and
LF in the message, `:` and `,` too in a property.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.gate.budget import Severity
from costaudit.gate.rows import rows
from costaudit.gate.verdict import Result
from costaudit.gate.words import label, split_line, tally

if TYPE_CHECKING:
    from costaudit.gate.decision import Decision
    from costaudit.gate.rows import Row

STICKY = "<!-- costaudit gate -->"  # by which the comment is found again
MOST_COMMENT_CHARACTERS = 60_000  # GitHub takes 65,536
_SIGNS = {Result.PASSED: "✅", Result.BROKEN: "❌", Result.INCONCLUSIVE: "❔"}


def commands(decision: Decision) -> str:
    """A workflow command per line that did not pass."""
    lines = [_command(row, decision) for row in rows(decision) if row.result is not Result.PASSED]
    return "".join(f"{line}\n" for line in lines)


def markdown(decision: Decision) -> str:
    """A table of all lines, for a step summary and, by its first line, a sticky comment."""
    told = rows(decision)
    lines = [
        STICKY,
        f"### {_SIGNS[decision.result]} Cost gate: {decision.result} ({tally(told)})",
        "",
        "| | line | measured | allowed |",
        "|---|---|---|---|",
        *map(_row, told),
        "",
    ]
    if decision.split is not None:
        lines += [_cell(split_line(decision.split)), ""]
    lines += [f"- {_cell(note)}" for note in decision.notes]
    text = "\n".join(lines).rstrip() + "\n"
    if len(text) > MOST_COMMENT_CHARACTERS:
        text = text[: MOST_COMMENT_CHARACTERS - 40].rsplit("\n", 1)[0] + "\n\n… cut, too long\n"
    return text


def _command(row: Row, decision: Decision) -> str:
    level = "error"
    if row.severity is Severity.WARN or (row.result is Result.INCONCLUSIVE and decision.warn):
        level = "warning"
    place = f"file={_property(decision.budget)},line={row.line}"
    title = _property(f"cost gate: {row.result}")
    message = _data("\n".join([row.sentence, *row.notes]))
    return f"::{level} {place},title={title}::{message}"


def _row(row: Row) -> str:
    told = [_cell(row.measured)]
    told += [f"because {_cell(row.why)}"] if row.why else []
    told += [_cell(note) for note in row.notes]
    if row.result is not Result.PASSED:
        told += [f"limit set because {_cell(row.reason)}"] if row.reason else []
        told += [f"ask {_cell(row.owner)}"] if row.owner else []
    sign = f"{_SIGNS[row.result]} {label(row).lower()}"
    return f"| {sign} | {_cell(row.name)} | {'<br>'.join(told)} | {_cell(row.allowed)} |"


def _cell(text: str) -> str:
    """Text that stays text in a table of GitHub's Markdown, and mentions nobody."""
    for sign in "\\`*_[]|":
        text = text.replace(sign, f"\\{sign}")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(text.replace("@", "@\u200b").split())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

"""The decision in words, for a terminal or a CI log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.gate.budget import Severity
from costaudit.gate.rows import rows
from costaudit.gate.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.contrast.split import Split
    from costaudit.gate.decision import Decision
    from costaudit.gate.rows import Row


def gate_text(decision: Decision) -> str:
    """One block per line of the budget, what the difference is made of, then the verdict."""
    told = rows(decision)
    blocks = [_block(row) for row in told]
    if decision.split is not None:
        blocks.append(split_line(decision.split))
    blocks += [f"note: {note}" for note in decision.notes]
    return "\n".join([*blocks, f"gate: {decision.result} ({tally(told)})"]) + "\n"


def label(row: Row) -> str:
    """The result in capitals; a warning says that it is one."""
    text = str(row.result).upper()
    if row.severity is Severity.WARN and row.result is not Result.PASSED:
        text += " (warning only)"
    return text


def tally(told: Sequence[Row]) -> str:
    """How many lines ended how."""
    counts = {result: sum(row.result is result for row in told) for result in Result}
    return ", ".join(f"{count} {result}" for result, count in counts.items() if count)


def split_line(split: Split) -> str:
    """The difference of dollars per request as factors that multiply to it."""
    price = "unknown" if split.price is None else f"× {split.price:.4g}"
    whole = "USD" if split.price is not None else "device-seconds"
    return (
        f"{whole} per request × {split.whole:.4g} since the baseline: price {price} (never counted"
        f" against a build), efficiency × {split.efficiency:.4g}, volume × {split.volume:.4g}"
    )


def _block(row: Row) -> str:
    lines = [f"{label(row):<13} {row.name} {row.measured}, allowed {row.allowed}"]
    if row.why:
        lines.append(f"because {row.why}")
    lines += row.notes
    if row.result is not Result.PASSED:
        lines += [f"limit set because {row.reason}"] if row.reason else []
        lines += [f"ask {row.owner}"] if row.owner else []
    return "\n              ".join(lines)

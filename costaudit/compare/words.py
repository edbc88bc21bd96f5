"""The comparison in words, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.contrast.change import high, low

if TYPE_CHECKING:
    from costaudit.compare.comparison import Comparison, Line
    from costaudit.contrast.split import Split


def comparison_text(comparison: Comparison) -> str:
    """Timings with their intervals, counters that differ, and what money's difference is of."""
    blocks = [f"from {', '.join(comparison.before)} to {', '.join(comparison.after)}"]
    if comparison.differences:
        told = "\n".join(f"  {why}" for why in comparison.differences)
        blocks.append(f"Times cannot be compared:\n{told}")
    elif comparison.lines:
        blocks.append("\n".join(["Times, worse is positive", *map(_line, comparison.lines)]))
        blocks[-1] += f"\n  ({comparison.lines[0].change.origin})"
    blocks.append(_counters(comparison))
    blocks.append(_split(comparison.split))
    if comparison.software:
        blocks.append("\n".join(["Changed beside", *(f"  {c}" for c in comparison.software)]))
    return "\n\n".join(blocks) + "\n"


def _line(line: Line) -> str:
    change = line.change
    bounds = f"{_signed(low(change, line.alpha))} to {_signed(high(change, line.alpha))}"
    verdict = "changed" if line.real else "within the noise"
    return f"  {line.metric:<26}{_signed(change.share):>9}   {bounds:<22}  {verdict}"


def _counters(comparison: Comparison) -> str:
    rows, same = [], 0
    for name, (before, after) in comparison.counters.items():
        if before == after:
            same += 1
        else:
            rows.append(f"  {name:<26}{_count(before)} to {_count(after)}")
    head = f"Counters: {same} the same"
    return "\n".join([f"{head}, {len(rows)} differ" if rows else head, *rows])


def _split(split: Split) -> str:
    price = "unknown" if split.price is None else f"{split.price:.4g}"
    return (
        f"Cost per request × {split.whole:.4g} = price {price}"
        f" × efficiency {split.efficiency:.4g} × volume {split.volume:.4g}"
    )


def _count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.6g}"


def _signed(share: float) -> str:
    return f"{100 * share:+.3g} %"

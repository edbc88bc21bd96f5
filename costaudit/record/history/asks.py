"""What is asked of a Prometheus: only aggregates leave it, a few expressions in each question.

Growth is the difference of two instants, which costs a Prometheus next to nothing; a series that is
new within a replica grew from zero. Replicas that restarted, came or went in the window are asked
again by `increase`, which reads every sample. Levels are `*_over_time`. Several expressions become
one question by a label of ours that tells them apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from costaudit.facts.metric_map import RANK_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TAG = "costaudit"  # the label that says which expression a series answers
# What makes a replica, and what is told apart within it.
WHERE = ("cluster", "namespace", "job", "instance", "pod", "node")
MODEL = ("model_name", "model")
PER_QUESTION = 10
STEPS = 288  # evaluations of a subquery over the window: each five minutes over a day


class Stat(StrEnum):
    """What is wanted of a series over the window."""

    GROWN = "grown"  # between two instants
    EDGES = "edges"  # the same of a histogram's buckets
    GROWN_IN_PARTS = "grown in parts"  # over restarts, and of those that were not there throughout
    LOW = "low"
    MEAN = "mean"
    USUAL = "usual"  # the median
    HIGH = "high"
    LAST = "last"
    ABOVE_ZERO = "above zero"
    PRESENT = "present"  # evaluations at which the series was there
    RESTARTS = "restarts"  # how often a counter began anew
    AT_START = "at start"  # a counter at the beginning of the window


_SIMPLE = {
    Stat.GROWN: "({n} - ({n} offset {w}) or {n})",
    Stat.EDGES: "({n} - ({n} offset {w}) or {n})",
    Stat.GROWN_IN_PARTS: "increase({n}[{w}])",
    Stat.LOW: "min_over_time({n}[{w}])",
    Stat.MEAN: "avg_over_time({n}[{w}])",
    Stat.USUAL: "quantile_over_time(0.5, {n}[{w}])",
    Stat.HIGH: "max_over_time({n}[{w}])",
    Stat.LAST: "{n}",
    Stat.ABOVE_ZERO: "avg_over_time(({n} > bool 0)[{w}:{s}])",
    Stat.PRESENT: "count_over_time({n}[{w}:{s}])",
    Stat.RESTARTS: "resets({n}[{w}])",
    Stat.AT_START: "({n} offset {w})",
}
_WHILE = {
    Stat.MEAN: "avg_over_time(({held})[{w}:{s}])",
    Stat.USUAL: "quantile_over_time(0.5, ({held})[{w}:{s}])",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One statistic of one metric; `name` is the metric's on the wire.

    With `while_names` it is the mean (or median) of the times at which those metrics, of the same
    labels, are above zero; with `beside` only the targets that export that metric too.
    """

    name: str
    stat: Stat
    while_names: tuple[str, ...] = ()
    beside: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time asked about, and whose series; `matchers` is PromQL without braces, or ""."""

    seconds: int
    matchers: str = ""

    @property
    def step_s(self) -> int:
        """Between two evaluations of a subquery."""
        return max(1, round(self.seconds / STEPS))


def of_instances(span: Span, instances: Iterable[str]) -> Span:
    """The span of these instances only; of all where there are none given."""
    names = "|".join(re.escape(name) for name in sorted(instances))
    if not names:
        return span
    quoted = names.replace("\\", "\\\\").replace('"', '\\"')
    matchers = ", ".join(filter(None, [span.matchers, f'instance=~"{quoted}"']))
    return replace(span, matchers=matchers)


def selected(name: str, span: Span) -> str:
    """The series of a metric; of an engine's ranks that repeat its numbers only the first."""
    ranks = [f'{label}=~"0|"' for label in RANK_LABELS]
    return f"{name}{{{', '.join([*ranks, *filter(None, [span.matchers])])}}}"


def expression(ask: Ask, span: Span, apart: Sequence[str]) -> str:
    """PromQL for one ask; `apart` are the labels that are told apart within a replica."""
    by = [*WHERE, *MODEL, *apart, *(["le"] if ask.stat is Stat.EDGES else [])]
    window, step = f"{span.seconds}s", f"{span.step_s}s"
    name = selected(ask.name, span)
    if ask.while_names:
        held = [name, *(f"({selected(other, span)} > 0)" for other in ask.while_names)]
        inner = _WHILE[ask.stat].format(held=" and ".join(held), w=window, s=step)
    else:
        inner = _SIMPLE[ask.stat].format(n=name, w=window, s=step)
    if ask.beside:
        inner = f"({inner}) and on (job, instance) {selected(ask.beside, span)}"
    return f"sum by ({', '.join(by)}) ({inner})"


def questions(asks: Sequence[Ask], span: Span, apart: Sequence[str]) -> Iterator[str]:
    """The asks by `PER_QUESTION`, each tagged with its place in `asks`."""
    tagged = [
        f'label_replace({expression(ask, span, apart)}, "{TAG}", "{place}", "job", ".*")'
        for place, ask in enumerate(asks)
    ]
    for start in range(0, len(tagged), PER_QUESTION):
        yield "\nor ".join(tagged[start : start + PER_QUESTION])


def names_like(beginnings: Iterable[str], span: Span) -> str:
    """A selector of all metrics whose names begin so."""
    pattern = "|".join(beginnings)
    inside = ", ".join([f'__name__=~"(?:{pattern}).*"', *filter(None, [span.matchers])])
    return f"{{{inside}}}"

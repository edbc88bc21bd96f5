"""A window of a server's life, by canonical quantities: levels, growth, histograms' growth.

Pure and engine-neutral: it is built from pages of one server (`window_of`), or put together from
what a time-series database says of it. What was not exported is not there, and every question has
the third answer "no data" (None); it is never zero.

Deltas only: lifetime totals hold everybody's past. A total that falls is a restart; the window is
then the time since the last one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.facts.quantities import falls
from costaudit.ground.stats import median

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.facts.quantities import Page
    from costaudit.target.target import Value

RUNNING, WAITING = "requests.running", "requests.waiting"
# Levels of the readings on which requests waited while others ran: how full the server was then.
WHILE_WAITING = " while waiting"
_WHILE = (RUNNING, "kv.usage_fraction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """A gauge over the window. `above_zero_share` is the share of its readings above zero.

    `usual` is their median: a limit shows in it, whatever falls short of it for a moment.
    """

    low: float
    mean: float
    usual: float
    high: float
    last: float
    above_zero_share: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a histogram grew by.

    `edges` are (upper edge, observations up to it), cumulative and rising, +inf last where told.
    """

    count: float
    total: float
    edges: tuple[tuple[float, float], ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean of what was added; None where nothing was."""
        return self.total / self.count if self.count > 0 else None

    def between(self, share: float) -> tuple[float, float] | None:
        """The bucket that holds a quantile (0 to 1): its lower and upper edge; None: no data.

        Never interpolated: edges are coarse, and below the first one nothing is known.
        """
        if self.count <= 0 or not self.edges:
            return None
        wanted, low = share * self.count, 0.0
        for edge, up_to in self.edges:
            if up_to >= wanted - 1e-9:
                return low, edge
            low = edge
        return low, math.inf

    def share_above(self, edge: float) -> float | None:
        """Share of the observations surely above `edge`, by the next edge at or over it."""
        if self.count <= 0 or not self.edges:
            return None
        below = next((up_to for at, up_to in self.edges if at >= edge), self.count)
        return max(0.0, 1.0 - below / self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a server's metrics say of some time.

    Attributes:
        seconds: between the first and the last reading used.
        scrapes: readings used.
        engine: family name ("vllm", "sglang", …); version "" where unknown.
        model: served name; "" where unknown.
        gauges, counters, histograms: by canonical name; counters as growth over the window.
        ranks: levels of running, waiting and KV by rank or replica, where there are several.
        natives: what the server calls a quantity, by canonical name.
        knobs: settings with their origin.
        restarts: how often a total fell; only the time since the last fall is in the window.
        notes: sentences about what is missing and why.
        why: reasons for missing quantities, by canonical name.
        lost: why reading ended early; "" where it did not.
    """

    seconds: float
    scrapes: int
    engine: str
    version: str = ""
    model: str = ""
    gauges: Mapping[str, Levels] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[str, Spread] = field(default_factory=dict)
    ranks: Mapping[str, Mapping[str, Levels]] = field(default_factory=dict)
    natives: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, Value] = field(default_factory=dict)
    restarts: int = 0
    notes: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    lost: str = ""

    def grown(self, *names: str) -> float | None:
        """Growth of the first of these counters that there is; None: no data."""
        return next((self.counters[name] for name in names if name in self.counters), None)

    def rate(self, *names: str) -> float | None:
        """Growth per second; None: no data, or no time."""
        grown = self.grown(*names)
        return grown / self.seconds if grown is not None and self.seconds > 0 else None

    def levels(self, name: str) -> Levels | None:
        """A gauge over the window; None: no data."""
        return self.gauges.get(name)

    def spread(self, name: str) -> Spread | None:
        """A histogram's growth; None: no data, or nothing was added."""
        found = self.histograms.get(name)
        return found if found is not None and found.count > 0 else None

    def mean(self, name: str) -> float | None:
        """Mean of what a histogram grew by; None: no data."""
        found = self.spread(name)
        return None if found is None else found.mean

    def native(self, name: str) -> str:
        """What the server calls a quantity; the canonical name where that is not known."""
        return self.natives.get(name) or self.natives.get(f"{name}.count", name)

    def knob(self, name: str) -> float | int | str | bool | None:
        """A setting, however known; None: unknown."""
        found = self.knobs.get(name)
        return None if found is None else found.value

    def by(self, name: str) -> dict[str, float]:
        """Growth of the parts of a counter, by the value of its label."""
        start = f"{name}."
        return {k.removeprefix(start): v for k, v in self.counters.items() if k.startswith(start)}


def window_of(
    pages: Sequence[Page],
    *,
    engine: str,
    version: str = "",
    model: str = "",
    knobs: Mapping[str, Value] | None = None,
    notes: tuple[str, ...] = (),
) -> Window:
    """The window between the first and last of one server's pages, in order of time."""
    fell = falls(pages)
    used = pages[fell[-1] :] if fell else pages
    names = dict.fromkeys(name for page in used for name in page.quantities)
    natives = {n: p.quantities[n].native for p in used for n in names if n in p.quantities}
    totals = [name for name in names if _is_total(used, name)]
    counters, histograms = _growth(used, totals)
    gauges = {name: _levels(used, name) for name in names if not _is_total(used, name)}
    seconds = used[-1].t_s - used[0].t_s if used else 0.0
    return Window(
        seconds=seconds,
        scrapes=len(used),
        engine=engine,
        version=version,
        model=model,
        gauges={n: g for n, g in gauges.items() if "@" not in n} | _while_waiting(used),
        counters=counters,
        histograms=histograms,
        ranks=_ranks(gauges),
        natives={name: native for name, native in natives.items() if native},
        knobs=knobs or {},
        restarts=len(fell),
        notes=notes,
    )


def levels_of(values: Sequence[float]) -> Levels:
    """The levels of a gauge's readings.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("levels of nothing")
    return Levels(
        low=min(values),
        mean=math.fsum(values) / len(values),
        usual=median(values),
        high=max(values),
        last=values[-1],
        above_zero_share=sum(value > 0 for value in values) / len(values),
        samples=len(values),
    )


def _is_total(pages: Sequence[Page], name: str) -> bool:
    return any(p.quantities[name].total for p in pages if name in p.quantities)


def _growth(
    pages: Sequence[Page], totals: Sequence[str]
) -> tuple[dict[str, float], dict[str, Spread]]:
    """Counters and histograms. A series that appears later (a first event) grew from zero.

    Where others have totals, a page without any is a part of one, and no beginning or end.
    """
    whole = [p.quantities for p in pages if any(one.total for one in p.quantities.values())]
    ends = whole if len(whole) > 1 else [p.quantities for p in pages]
    if len(ends) < 2:  # noqa: PLR2004 - growth is between two
        return {}, {}
    first, last = ends[0], ends[-1]
    grown = {
        name: last[name].value - (first[name].value if name in first else 0.0)
        for name in totals
        if name in last
    }
    return spreads_of(grown)


def spreads_of(grown: Mapping[str, float]) -> tuple[dict[str, float], dict[str, Spread]]:
    """Totals' growth by canonical name → plain counters, and histograms of those with a count."""
    bases = [name.removesuffix(".count") for name in grown if name.endswith(".count")]
    spreads = {base: _spread(base, grown) for base in bases}
    parts = (".sum", ".count")
    plain = {n: v for n, v in grown.items() if not n.endswith(parts) and ".le." not in n}
    return plain, spreads


def _spread(base: str, grown: Mapping[str, float]) -> Spread:
    start = f"{base}.le."
    edges = sorted(
        (edge, value)
        for name, value in grown.items()
        if name.startswith(start) and (edge := _edge(name.removeprefix(start))) is not None
    )
    return Spread(
        count=grown[f"{base}.count"], total=grown.get(f"{base}.sum", 0.0), edges=tuple(edges)
    )


def _edge(text: str) -> float | None:
    try:
        edge = float(text)
    except ValueError:
        return None
    return None if math.isnan(edge) else edge


def _levels(pages: Sequence[Page], name: str) -> Levels:
    return levels_of([p.quantities[name].value for p in pages if name in p.quantities])


def _while_waiting(pages: Sequence[Page]) -> dict[str, Levels]:
    """Levels on the pages where requests waited while others ran (a batch may just have ended)."""
    queued = [
        page.quantities
        for page in pages
        if all(n not in page.quantities or page.quantities[n].value > 0 for n in (WAITING, RUNNING))
        and WAITING in page.quantities
    ]
    return {
        name + WHILE_WAITING: levels_of([held[name].value for held in queued if name in held])
        for name in _WHILE
        if any(name in held for held in queued)
    }


def _ranks(gauges: Mapping[str, Levels]) -> dict[str, dict[str, Levels]]:
    found: dict[str, dict[str, Levels]] = {}
    for name, levels in gauges.items():
        base, at, rank = name.partition("@")
        if at:
            found.setdefault(base, {})[rank] = levels
    return {base: by for base, by in found.items() if len(by) > 1}

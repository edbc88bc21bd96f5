"""Ways to pay, as prices: by the term, by the hour, by the token; and mixes of them.

A kind of way is one file under `ways/`, found by being there: it holds a constant KIND and makes
an Offer out of what the Market knows, or says why it cannot.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from costaudit.pricing.market import Market

TOKENS_PER_UNIT = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Capacity paid for every hour of its term, used or not.

    Attributes:
        usd_per_replica_h: what one replica's worth of it costs, each hour of the term.
        term_h: how long one is bound.
        units: the most that can be had; None: as many as one likes.
    """

    id: str
    title: str
    usd_per_replica_h: float
    term_h: float
    units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """Capacity paid while it runs; `fleet_share` is the most of the fleet it may be."""

    id: str
    title: str
    usd_per_replica_h: float
    fleet_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PerToken:
    """Somebody else's replicas, paid by the token; USD per million."""

    id: str
    title: str
    usd_per_1m_input: float
    usd_per_1m_cached: float
    usd_per_1m_output: float
    patient: bool = False  # answers come within a day (batch): of no use to who waits for them

    def usd(self, computed: float, cached: float, output: float) -> float:
        """Dollars for so many tokens."""
        million = (
            self.usd_per_1m_input * computed
            + self.usd_per_1m_cached * cached
            + self.usd_per_1m_output * output
        )
        return million / TOKENS_PER_UNIT


Way = Committed | Hourly | PerToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One price behind a way, with its provenance; `as_of` is a date, or says why there is none."""

    id: str
    usd: float
    unit: str  # "usd_per_device_h", "usd_per_1m_tokens", …
    source: str
    as_of: str
    stale: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """A figure that nobody measured here; `source` says why this one."""

    what: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one kind of way comes to here; no ways: `why_not` says what is missing."""

    ways: tuple[Way, ...] = ()
    quotes: tuple[Quote, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of way to pay."""

    id: str
    title: str
    offer: Callable[[Market], Offer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Ways taken together: `units` of what is committed, the rest by the hour or by the token.

    `hourly` is filled in its order, each up to its share of the fleet. With `overflow` what the
    other replicas do not hold goes to an API, and no replica is rented for a burst.
    """

    id: str
    title: str
    committed: Committed | None = None
    hourly: tuple[Hourly, ...] = ()
    overflow: PerToken | None = None
    at_peak: bool = False  # as many committed as the worst hour needs, whatever that costs

    @property
    def term_h(self) -> float:
        """Hours that one is bound; 0 where one may leave."""
        return self.committed.term_h if self.committed else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What all kinds come to, by the kind's id."""

    by_kind: Mapping[str, Offer] = field(default_factory=dict)

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every way that has a price."""
        return tuple(way for offer in self.by_kind.values() for way in offer.ways)

    @property
    def quotes(self) -> tuple[Quote, ...]:
        """Every price behind them."""
        return tuple(quote for offer in self.by_kind.values() for quote in offer.quotes)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Every figure that was assumed, once."""
        said = (a for offer in self.by_kind.values() for a in offer.assumptions)
        return tuple(dict.fromkeys(said))


def kinds() -> tuple[Kind, ...]:
    """All kinds of ways to pay, by id."""
    from costaudit.pricing import ways

    names = (f"{ways.__name__}.{found.name}" for found in pkgutil.iter_modules(ways.__path__))
    found: list[Kind] = [importlib.import_module(name).KIND for name in names]
    return tuple(sorted(found, key=lambda kind: kind.id))


def offers(market: Market) -> Offers:
    """What every kind comes to in this market."""
    return Offers(by_kind={kind.id: kind.offer(market) for kind in kinds()})

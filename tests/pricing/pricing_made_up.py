"""Loads, ways and markets made up for tests; what a test does not say is ordinary."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from costaudit.pricing.capacity import Capacity
from costaudit.pricing.load import Load
from costaudit.pricing.way import Committed, Hourly, Offer, Offers, PerToken

DAY_WINDOWS = 24
ON_DEMAND = Hourly(id="on-demand", title="On demand", usd_per_replica_h=4.0)
SPOT = Hourly(id="spot", title="Spot", usd_per_replica_h=2.0, fleet_share=0.3)
ONE_YEAR = Committed(id="reserved-1y", title="Reserved 1 y", usd_per_replica_h=2.8, term_h=8760)
THREE_YEARS = Committed(
    id="reserved-3y", title="Reserved 3 y", usd_per_replica_h=1.7, term_h=3 * 8760
)
API = PerToken(
    id="api-somebody",
    title="Token API (somebody)",
    usd_per_1m_input=0.5,
    usd_per_1m_cached=0.1,
    usd_per_1m_output=1.5,
)
CAPACITY = Capacity(
    prefill_tokens_per_s=20_000,
    decode_tokens_per_s=3_000,
    interference=1.1,
    utilization_share=0.75,
    cached_share=0.25,
    origin="made up",
)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def load_from(fluid, *, window_h=1.0, weekdays=True, **fields):
    """A load of one window per figure; tokens in proportion to it."""
    count = len(fluid)
    per_day = round(24 / window_h)
    days = tuple(n // per_day for n in range(count))
    made = Load(
        window_h=window_h,
        fluid=tuple(map(float, fluid)),
        peaks=tuple(map(float, fluid)),
        windows=tuple(range(count)),
        billed_hours=tuple(int(n * window_h) for n in range(count)),
        days=days,
        weekdays=tuple(day % 7 if weekdays else -1 for day in days),
        computed_tokens=tuple(1e6 * x * window_h for x in fluid),
        cached_tokens=tuple(2e5 * x * window_h for x in fluid),
        output_tokens=tuple(4e5 * x * window_h for x in fluid),
    )
    return replace(made, **fields)


def offers_of(*ways):
    return Offers(by_kind={way.id: Offer(ways=(way,)) for way in ways})

"""How many prompt tokens the prefix cache of one replica answers: at its size, not at infinity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.traffic.demand import total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.traffic.demand import Demand, PrefixShare
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """The share of prompt tokens; None: the requests carry their own prefixes, simulate them."""

    share: float | None
    notes: tuple[str, ...] = ()


def hits_of(scenario: Scenario, demand: Demand | None, outcome: Outcome) -> Hits:
    """The hits to reckon with, out of what the log tells of its prefixes.

    `outcome` is a trial of the replica: memory that running requests hold is not the cache's.
    """
    if not scenario.knobs.prefix_caching:
        return Hits(share=0.0)
    if demand is None or not (demand.lengths or demand.prefix_shares):
        return Hits(share=None)
    if demand.prefix_shares:
        room = scenario.knobs.kv_budget_tokens * max(1 - outcome.kv.usage_peak_share, 0.0)
        share = share_at(demand.prefix_shares, room)
        said = f"prefix hits {share:.3f} in the {room:,.0f} tokens that running requests leave"
        return Hits(share=share, notes=(said,))
    cached, prompt = total(demand.cached_prompt_tokens), total(demand.prompt_tokens)
    if cached and prompt:
        said = "prefix hits as logged, on the cache of the system that wrote the log"
        return Hits(share=min(cached / prompt, 1.0), notes=(said,))
    return Hits(share=0.0, notes=("the log does not tell shared prefixes: no hits are counted",))


def share_at(curve: Sequence[PrefixShare], cache_tokens: float) -> float:
    """The share at this size: straight between two sizes of the curve, from nothing at size 0."""
    below, share = 0.0, 0.0
    for point in sorted(curve, key=lambda point: point.cache_tokens):
        if point.cache_tokens >= cache_tokens:
            span = point.cache_tokens - below
            part = (cache_tokens - below) / span if span not in {0.0, float("inf")} else 0.0
            return share + (point.share - share) * part
        below, share = point.cache_tokens, point.share
    return share

"""What paging the KV cache brings.

Said since PagedAttention (SOSP'23): 2 to 4 times the throughput, and an end to 60 to 80 % of waste.
Tried on the audited requests in the same memory: a cache that reserves the longest length for every
sequence against blocks on demand. Waste is what is reserved and never written, over time; the
throughput follows where memory, not the scheduler's cap, limits the batch.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.folklore.whatifs import saving, share_over_draws, times
from costaudit.ground.stats import Interval
from costaudit.playbook.evidence import unknown_pool
from costaudit.whatif.scenario import Batching, KvLayout, Scenario
from costaudit.whatif.simulate import simulate

FASTER = Interval(low=2.0, high=4.0)
WASTED = Interval(low=0.60, high=0.80)
WHERE = "simulation of the audited requests"


def look(known: Known) -> Finding:
    """Reserved lengths against blocks, in the memory that this target has."""
    if blind := unknown_pool(known.situation):
        return Untold(because=blind.because)
    wasted = share_over_draws(known, lambda today: simulate(_reserved(today)).kv.waste_share)
    return Found(
        figures=(
            Figure(
                what="throughput, blocks over reserved lengths",
                value=times(saving(known, _reserved, _paged)),
                claimed=FASTER,
                unit="times",
                where=WHERE,
            ),
            Figure(
                what="reserved and never written without blocks",
                value=wasted,
                claimed=WASTED,
                unit="share",
                where=WHERE,
            ),
        )
    )


def _reserved(today: Scenario) -> Scenario:
    return _with_layout(today, KvLayout.STATIC)


def _paged(today: Scenario) -> Scenario:
    return _with_layout(today, KvLayout.PAGED)


def _with_layout(today: Scenario, layout: KvLayout) -> Scenario:
    """Continuous batching, which blocks need, on both sides; no prefix is shared on either."""
    knobs = replace(
        today.knobs, batching=Batching.CONTINUOUS, kv_layout=layout, prefix_caching=False
    )
    return replace(today, knobs=knobs)


CLAIM = Claim(
    id="paging-gain",
    text="Paging the KV cache brings 2 to 4 times the throughput and ends 60 to 80 % of waste",
    look=look,
)

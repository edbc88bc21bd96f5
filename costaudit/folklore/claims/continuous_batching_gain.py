"""Throughput of continuous batching against static batches.

Said since vLLM's announcement: 10 to 24 times. Tried on the audited requests: static batches of the
same size in the same memory, padded to their longest, against iteration-level scheduling, both
simulated on this target's step time; the memory's layout is the same on both sides.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.folklore.whatifs import saving, times
from costaudit.ground.stats import Interval
from costaudit.whatif.scenario import Batching, Scenario

CLAIMED = Interval(low=10.0, high=24.0)


def look(known: Known) -> Finding:
    """Device-seconds per token of static batches over those of continuous batching."""
    if known.situation.scenario.knobs.max_num_seqs == 1:
        return Untold(because="one sequence runs at a time: there is no batch to compare")
    figure = Figure(
        what="throughput, continuous over static",
        value=times(saving(known, _static, _continuous)),
        claimed=CLAIMED,
        unit="times",
        where="simulation of the audited requests",
    )
    return Found(figures=(figure,))


def _static(today: Scenario) -> Scenario:
    knobs = replace(today.knobs, batching=Batching.STATIC, max_num_batched_tokens=None)
    return replace(today, knobs=replace(knobs, speculation=None))


def _continuous(today: Scenario) -> Scenario:
    return replace(today, knobs=replace(today.knobs, batching=Batching.CONTINUOUS))


CLAIM = Claim(
    id="continuous-batching-gain",
    text="Continuous batching brings 10 to 24 times the throughput",
    look=look,
)

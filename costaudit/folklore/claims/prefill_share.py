"""Prefill's part of the cost of short queries.

Said of chat-like services: a third of the bill goes into reading the prompt. Tried on the audited
requests where they are short, else on those of the shipped probe `short-query` (ServeGen's means),
scaled to the model's context: busy seconds that the fit gives to prefill over all busy seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known
from costaudit.folklore.whatifs import share_over_draws
from costaudit.ground.stats import Interval
from costaudit.probe.draw import context_scale, draw
from costaudit.probe.workload import load_workload
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

CLAIMED = Interval(low=0.30, high=0.40)
SHORT_TOKENS = 512  # mean prompt of a short query, at most


def look(known: Known) -> Finding:
    """Prefill over all of the busy time."""
    traffic = known.situation.scenario.traffic
    short = traffic.prompt_tokens <= SHORT_TOKENS * max(1, len(traffic.requests))

    def share(today: Scenario) -> float:
        outcome = simulate(today if short else _of_short_queries(today))
        return outcome.prefill_s / outcome.busy_s if outcome.busy_s else 0.0

    figure = Figure(
        what="prefill of the busy time",
        value=share_over_draws(known, share),
        claimed=CLAIMED,
        unit="share",
        where="the audited requests" if short else "requests of the probe short-query",
    )
    return Found(figures=(figure,))


def _of_short_queries(today: Scenario) -> Scenario:
    workload = load_workload("short-query")
    scale = context_scale(workload, today.shape.max_context_tokens)
    requests = tuple(
        Request(
            prompt_tokens=drawn.prompt_tokens,
            output_tokens=drawn.output_tokens,
            prefix_id=drawn.prefix_id,
            prefix_tokens=drawn.prefix_tokens,
        )
        for drawn in draw(workload, scale=scale)
    )
    streams = today.traffic.concurrency or workload.concurrency
    return replace(
        today, traffic=Traffic(source="probe:short-query", requests=requests, concurrency=streams)
    )


CLAIM = Claim(
    id="prefill-share",
    text="Prefill is 30 to 40 % of the cost of short queries",
    look=look,
)

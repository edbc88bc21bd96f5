"""Seconds that requests wait against seconds in which they are answered.

Said of services under load: ten seconds in the queue for one of generation. Tried on the simulated
window: time to first token without the request's own prefill and the time outside of the steps,
over the time from the first token to the last.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.folklore.whatifs import odds, share_over_draws
from costaudit.ground.stats import Interval
from costaudit.target.load import prefill_load
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

CLAIMED = Interval(low=8.0, high=12.5)  # ten to one, to the next of 8, 10, 12.5


def look(known: Known) -> Finding:
    """Waiting over generating, summed over the requests."""
    if max(r.output_tokens for r in known.situation.scenario.traffic.requests) < 2:  # noqa: PLR2004
        return Untold(because="answers have one token: nothing is generated after the first")
    figure = Figure(
        what="waiting to generating",
        value=odds(share_over_draws(known, _waiting)),
        claimed=CLAIMED,
        unit="ratio",
        where="simulation of the audited requests",
    )
    return Found(figures=(figure,))


def _waiting(today: Scenario) -> float:
    """Waiting seconds over waiting and generating ones."""
    outcome, step_time = simulate(today), today.step_time
    own_s = [
        step_time.seconds(prefill_load(new_tokens=tokens)) + step_time.request_s
        for tokens in (r.prompt_tokens for r in today.traffic.requests)
    ]
    waited = math.fsum(
        max(ttft - own, 0.0) for ttft, own in zip(outcome.ttft_s, own_s, strict=True)
    )
    generating = math.fsum(outcome.e2e_s) - math.fsum(outcome.ttft_s)
    return waited / (waited + generating)


CLAIM = Claim(
    id="waiting-to-generating",
    text="Requests wait ten seconds for each second in which they are answered (10:1)",
    look=look,
)

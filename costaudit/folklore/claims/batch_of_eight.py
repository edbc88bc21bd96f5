"""Eight requests together against one alone.

Said of the memory bus: 1.2 s become 2.8 s, 2.3 times. Tried by simulating eight requests of the
audited mean lengths that start together, and one of them alone, on this target's step time.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known
from costaudit.folklore.whatifs import share_over_draws, times
from costaudit.ground.stats import Interval
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

BATCH = 8
CLAIMED = Interval(low=0.9 * 2.8 / 1.2, high=1.1 * 2.8 / 1.2)  # two digits say no more


def look(known: Known) -> Finding:
    """Time to the last token of eight together over that of one."""
    figure = Figure(
        what="time of eight together over one alone",
        value=times(
            share_over_draws(known, lambda today: 1 - _seconds(today, 1) / _seconds(today, BATCH))
        ),
        claimed=CLAIMED,
        unit="times",
        where="simulation at the audited mean lengths",
    )
    return Found(figures=(figure,))


def _seconds(today: Scenario, together: int) -> float:
    requests = today.traffic.requests
    one = Request(
        prompt_tokens=max(1, round(fmean(r.prompt_tokens for r in requests))),
        output_tokens=max(1, round(fmean(r.output_tokens for r in requests))),
    )
    traffic = Traffic(source="a batch", requests=(one,) * together, concurrency=together)
    longest = max(today.knobs.max_model_len, today.shape.max_context_tokens)
    knobs = replace(
        today.knobs,
        max_num_seqs=together,
        kv_budget_tokens=BATCH * (one.prompt_tokens + one.output_tokens + longest),
        prefix_caching=False,
    )
    return max(simulate(replace(today, traffic=traffic, knobs=knobs, replicas=1)).e2e_s)


CLAIM = Claim(
    id="batch-of-eight",
    text="A batch of eight takes 2.8 s where one request takes 1.2 s",
    look=look,
)

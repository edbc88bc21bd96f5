"""How much of the device is used once the playbook is done.

Said of a tuned service: 80 to 90 % of its compute and less than 70 % of its bandwidth. Tried on
the best order's end, simulated: seconds that the useful FLOPs, and what is read, would
take at the device's peaks, over the busy seconds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.bill.replay import Replay
from costaudit.bill.slices import SliceId
from costaudit.bill.step_log import steps_of
from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.folklore.whatifs import shares_over_draws
from costaudit.ground.stats import Interval
from costaudit.plan.pricer import TURNS
from costaudit.playbook.evidence import unknown_roof
from costaudit.playbook.step import Edge
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

CLAIMED = {"compute": Interval(low=0.80, high=0.90), "bandwidth": Interval(low=0.0, high=0.70)}
FLOPS, BYTES = ("decode_compute", "prefill_compute"), ("weights", "kv")
AT_PEAK = dict.fromkeys((*FLOPS, *BYTES), 1.0)  # multiples of the seconds at the peak
AS_RUN = frozenset({SliceId.KERNEL_INEFFICIENCY, SliceId.STEP_OVERHEAD})  # no wasted work counts


def look(known: Known) -> Finding:
    """MFU and MBU of the best order's end."""
    if blind := unknown_roof(known.situation):
        return Untold(because=blind.because)
    taken = [step for step in known.steps if step.id in known.plan.best.ids]
    in_turn = sorted(taken, key=lambda step: TURNS.index(step.turn))

    def used(today: Scenario) -> tuple[float, ...]:
        for step in in_turn:
            today = step.change(today, Edge.LOW)
        return _used(today)

    where = f"simulation after {len(taken)} steps of the plan"
    shares = shares_over_draws(known, used)
    return Found(
        figures=tuple(
            Figure(
                what=f"{name} used of the peak",
                value=share,
                claimed=claimed,
                unit="share",
                where=where,
            )
            for (name, claimed), share in zip(CLAIMED.items(), shares, strict=True)
        )
    )


def _used(scenario: Scenario) -> tuple[float, ...]:
    """Seconds at each of the peaks over busy seconds.

    Raises:
        InconclusiveError: the steps of several replicas, or of drafts, are not told apart.
    """
    busy_s, steps = simulate(scenario).busy_s, steps_of(scenario)
    at_peak = replace(scenario.step_time, coefficients=AT_PEAK, draws=())
    terms_s = Replay(step_time=at_peak, schedules=(steps,)).terms_s(AS_RUN)
    return tuple(
        math.fsum(terms_s[term] for term in terms) / busy_s if busy_s else 0.0
        for terms in (FLOPS, BYTES)
    )


CLAIM = Claim(
    id="peaks-after-the-playbook",
    text="After the playbook 80 to 90 % of compute and less than 70 % of bandwidth are used",
    look=look,
)

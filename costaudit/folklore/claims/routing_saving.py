"""What sending easy requests to a smaller model saves of the bill.

Said of routers: 30 to 60 %. This target's figure is what the step `smaller-model-routing` saves
alone. Its interval is as wide as the literature: how many requests are easy was not measured.
"""

from __future__ import annotations

from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.folklore.whatifs import step_saving
from costaudit.ground.stats import Interval
from costaudit.plan.plan import Verdict

CLAIMED = Interval(low=0.30, high=0.60)
STEP = "smaller-model-routing"


def look(known: Known) -> Finding:
    """The step alone, on today's bill; where it cannot help, that it cannot."""
    planned = next(p for p in known.plan.steps if p.id == STEP)
    if planned.verdict is Verdict.DOES_NOT_APPLY and planned.standalone is None:
        return Untold(because=f"there is nothing to route: {planned.why_not}")
    saved = step_saving(known, STEP)
    if isinstance(saved, Untold):
        return saved
    figure = Figure(
        what="saved by routing alone",
        value=saved,
        claimed=CLAIMED,
        unit="share",
        where=f"the step {STEP}",
    )
    return Found(figures=(figure,))


CLAIM = Claim(
    id="routing-saving",
    text="Routing easy requests to a smaller model takes 30 to 60 % off the bill",
    look=look,
)

"""What quantizing the weights saves of the bill.

Said of 4-bit weights: three quarters, as for their memory. This target's figure is what the step
`weight-quantization` saves alone: memory is not time, and only the part of a step that reads
weights gets shorter.
"""

from __future__ import annotations

from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.folklore.whatifs import step_saving
from costaudit.ground.stats import Interval

CLAIMED = Interval(low=0.725, high=0.775)  # 75 %, to the next 5 %


def look(known: Known) -> Finding:
    """The step alone, on today's bill."""
    saved = step_saving(known, "weight-quantization")
    if isinstance(saved, Untold):
        return saved
    figure = Figure(
        what="saved by quantizing the weights alone",
        value=saved,
        claimed=CLAIMED,
        unit="share",
        where="the step weight-quantization",
    )
    return Found(figures=(figure,))


CLAIM = Claim(
    id="quantization-saving",
    text="Quantizing the weights takes 75 % off the bill",
    look=look,
)

"""What spot capacity costs less.

Said of every cloud: about 30 %. This target's figure is the price list of its own device: a spot
hour under the same offer's on-demand hour, over the providers that list both, and the middle of
what AWS' advisor lists. Interruptions come on top and are no part of a price.
"""

from __future__ import annotations

from costaudit.facts.prices import spot_ratio
from costaudit.facts.spot import spot_advice
from costaudit.folklore.claim import Claim, Figure, Finding, Found, Known, Untold
from costaudit.ground.stats import Interval

CLAIMED = Interval(low=0.25, high=0.35)  # "about" 30 %, to the next 5 %


def look(known: Known) -> Finding:
    """Spot under on demand for this device."""
    device = known.situation.metrics.device
    ratio, advice = spot_ratio(device.name, known.today), spot_advice(device.name)
    shares = [] if ratio is None else [1 - ratio.low_share, 1 - ratio.high_share]
    shares += [] if advice is None else [advice.saving_share]
    if not shares:
        return Untold(because=f"no list at hand has a spot price for {device.name}")
    sources = [f"{ratio.source}, {ratio.as_of}"] if ratio else []
    sources += [f"{advice.source}, {advice.as_of}"] if advice else []
    figure = Figure(
        what="spot under on demand",
        value=Interval(low=min(shares), high=max(shares)),
        claimed=CLAIMED,
        unit="share",
        where="; ".join(sources),
    )
    note = ""
    if advice is not None:
        note = (
            f"AWS lists {advice.low_saving_share:.2f} to {advice.high_saving_share:.2f} by region"
            f" and size; {advice.often_interrupted_share:.2f} of them lose more than a fifth of"
            " their instances a month"
        )
    return Found(figures=(figure,), note=note)


CLAIM = Claim(id="spot-discount", text="Spot capacity is about 30 % cheaper", look=look)

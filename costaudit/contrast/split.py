"""What a difference in money is made of: price × efficiency × volume."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.stats import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.contrast.observation import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Factors of USD per request, new over base: they multiply to the whole (log-additive).

    `price` is USD per device-hour of each side's own day, None where one of them is unknown;
    `efficiency` is device-seconds per token, `volume` tokens per request. A verdict looks at
    efficiency alone: both sides are priced from one book, and a provider's price is no build's
    fault.
    """

    price: float | None
    efficiency: float
    volume: float

    @property
    def whole(self) -> float:
        """USD per request over that before; without the price where that is unknown."""
        return (self.price or 1.0) * self.efficiency * self.volume


def split(base: Sequence[Observation], new: Sequence[Observation]) -> Split:
    """The factors between the sides' geometric means, over all their units."""
    return Split(
        price=_ratio([o.usd_per_device_h for o in base], [o.usd_per_device_h for o in new]),
        efficiency=_known([o.device_s_per_1m for o in base], [o.device_s_per_1m for o in new]),
        volume=_known([o.tokens_per_request for o in base], [o.tokens_per_request for o in new]),
    )


def _ratio(base: Sequence[float | None], new: Sequence[float | None]) -> float | None:
    old, late = [v for v in base if v], [v for v in new if v]
    return _known(old, late) if old and late else None


def _known(base: Sequence[float], new: Sequence[float]) -> float:
    return math.exp(mean([math.log(v) for v in new]) - mean([math.log(v) for v in base]))

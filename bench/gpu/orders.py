"""Two well-known orders in dollars: quantize first, or page and batch first and quantize later.

Both end at the same place; what differs is what the first step brings, and so what a team pays
until the second one is made. All four corners are measured: static or continuous batching, weights
in bf16 or in FP8.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.bill.dollars import SECONDS_PER_H, TOKENS_PER_UNIT
from costaudit.record.engines.continuous import ContinuousEngine
from costaudit.record.engines.low_bit import why_not
from costaudit.record.options import EngineSettings
from gpu.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.engines.transformers_local import TransformersEngine
    from gpu.bed import Bed
    from gpu.recorded import Recorded

FORM = "fp8"
_REPEATS = 2


def rows(bed: Bed, recorded: Recorded) -> Iterator[Row]:
    """Each corner's cost of a million tokens, and the two orders' first steps."""
    usd_per_h, unit, why = _price(recorded)
    if reason := why_not(FORM, bed.device):
        yield Row(what="quantize first against page and batch first", value=None, why=reason)
        return
    cost: dict[tuple[str, str], float] = {}
    for batching in ("static", "continuous"):
        for form in ("", FORM):
            with bed.engine(EngineSettings(batching=batching), of=form) as engine:
                seconds = min(_seconds(bed, engine) for _ in range(_REPEATS))
            tokens = sum(prompt + output for prompt, output in bed.sizes.replayed)
            rate = 1.0 if usd_per_h is None else usd_per_h / SECONDS_PER_H
            cost[batching, form] = seconds * TOKENS_PER_UNIT / tokens * rate
            what = f"1M tokens, {batching} batches, {form or bed.sizes.dtype} weights"
            yield Row(what=what, value=cost[batching, form], unit=unit, why=why)
    start = cost["static", ""]
    for name, corner in (("quantize first", ("static", FORM)),
                         ("page and batch first", ("continuous", ""))):  # fmt: skip
        yield Row(what=f"{name}: left after the first step", value=cost[corner], unit=unit)
        yield Row(what=f"{name}: saved by the first step", value=1 - cost[corner] / start,
                  unit="of the bill")  # fmt: skip
    ahead = cost["static", FORM] - cost["continuous", ""]
    yield Row(what="page and batch first is cheaper until the second step by", value=ahead,
              unit=unit)  # fmt: skip


def _seconds(bed: Bed, engine: TransformersEngine) -> float:
    lengths = bed.sizes.replayed
    if isinstance(engine, ContinuousEngine):
        return engine.replay_stream(lengths, rows=len(lengths)).seconds
    spans, _ = engine.replay_batch(lengths)
    return math.fsum(span.timing.seconds for span in spans)


def _price(recorded: Recorded) -> tuple[float | None, str, str]:
    """(USD per device-hour, unit of a cost, where the price is from)."""
    known = recorded.known().prices
    price = next((price for price in known if price.id == "on-demand"), None)
    if price is None:
        return None, "device-s", "no list at hand has a price of this device"
    why = f"{price.usd_per_device_h:g} USD/h, {price.source}, {price.as_of}"
    return price.usd_per_device_h, "USD", why

"""A step-time model from ten probes, judged on points that it has not seen."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from costaudit.probe.design import Limits, StepProbe, step_design
from costaudit.record.steps import prepare
from costaudit.whatif.fit import StepPoint, fit
from costaudit.whatif.steptime import Peaks
from gpu.rows import Row
from gpu.steps import CAPTURED, element_bytes, step_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.engines.engine import LocalEngine
    from costaudit.whatif.steptime import StepTime
    from gpu.bed import Bed

ERROR_BAR, PROBES = 0.04, 10
_DECODE_STEPS = 8


class StepModel:
    """The model of captured steps; `fitted` once its rows were taken."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.fitted: StepTime | None = None

    def rows(self) -> Iterator[Row]:
        """Measure the probes and the unseen points, fit, judge."""
        with self.bed.engine(CAPTURED) as engine:
            points = [_point(self.bed, engine, probe) for probe in probes(self.bed)]
            shape = engine.target.known_shape
        peaks, element = self.bed.peaks, element_bytes(self.bed)
        self.fitted = fit(
            points,
            shape=shape,
            peaks=Peaks(
                flops_per_s=peaks["peak_flops"],
                bandwidth_bytes_per_s=peaks["peak_bandwidth_bytes_per_s"],
            ),
            param_bytes=element,
            kv_element_bytes=element,
        )
        seen = f"{self.fitted.fitted_points} probes, {self.fitted.held_out_points} unseen points"
        yield Row(what=f"step time from {seen}: median error", value=self.fitted.error_p50_share,
                  high=ERROR_BAR)  # fmt: skip
        yield Row(what="the same, 90th percentile", value=self.fitted.error_p90_share)

    def known(self) -> StepTime:
        """The fitted model.

        Raises:
            RuntimeError: it was not fitted.
        """
        if self.fitted is None:
            raise RuntimeError("the step-time model that it starts from was not fitted")
        return self.fitted


def probes(bed: Bed) -> list[StepProbe]:
    """The product's ten probes, and as many unseen ones as asked for, drawn once and for all."""
    sizes = bed.sizes
    limits = Limits(
        context_tokens=int(sizes.config["max_position_embeddings"]),
        kv_tokens=sizes.most_rows * sizes.most_tokens,
        prefill_tokens=sizes.most_tokens,
    )
    fitted = [probe for probe in step_design(limits) if not probe.held_out][:PROBES]
    drawn: list[StepProbe] = []
    taken, dice = {probe.id for probe in fitted}, random.Random(9)
    while len(drawn) < sizes.held_out:
        probe = _drawn(bed, dice, decode=len(drawn) % 2 == 0)
        if probe.id not in taken:
            taken.add(probe.id)
            drawn.append(probe)
    return [*fitted, *drawn]


def _drawn(bed: Bed, dice: random.Random, *, decode: bool) -> StepProbe:
    """Lengths and rows evenly over their logarithms, inside what the probes span."""
    sizes = bed.sizes

    def length(most: int) -> int:
        return round(32 * math.pow(most / 32, dice.random()))

    if decode:
        rows = round(math.pow(sizes.most_rows, dice.random()))
        return StepProbe(phase="decode", held_out=True, seqs=rows, new_tokens=1,
                         cached_tokens=length(sizes.most_tokens))  # fmt: skip
    cached = length(sizes.most_tokens // 2) if dice.random() < 0.5 else 0
    return StepProbe(phase="prefill", held_out=True, seqs=1,
                     new_tokens=length(sizes.most_tokens // 2), cached_tokens=cached)  # fmt: skip


def _point(bed: Bed, engine: LocalEngine, probe: StepProbe) -> StepPoint:
    prepared = prepare(engine, probe, _DECODE_STEPS if probe.phase == "decode" else 1)
    seconds = step_s(engine, prepared, bed.sizes.repeats)
    return StepPoint(load=prepared.load, seconds=seconds, held_out=probe.held_out)

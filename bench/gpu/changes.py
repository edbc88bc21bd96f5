"""Changes predicted from a model of the step or from a recording, then made and measured.

A change is new over old, in seconds of the same work; the error is that of the predicted change as
a share of the measured one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.plan.prediction import COST, predict
from costaudit.playbook.precision import quantized
from costaudit.playbook.step import Edge
from costaudit.playbook.steps import kv_cache_quantization, w8a8, weight_quantization
from costaudit.record.engines.low_bit import why_not
from costaudit.record.paired_round import LATENCIES, run_round
from costaudit.target.load import decode_load
from costaudit.verify.local import batches_of, changes_on
from costaudit.verify.verify import steps_of
from costaudit.whatif.scenario import KvLayout
from gpu.recorded import RECORDED
from gpu.rows import Row
from gpu.steps import CAPTURED, step_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from costaudit.record.engines.engine import LocalEngine
    from costaudit.record.options import EngineSettings
    from costaudit.whatif.scenario import Scenario
    from gpu.bed import Bed
    from gpu.held_out import StepModel
    from gpu.recorded import Recorded

    Change = Callable[[Scenario, Edge], Scenario]

ERROR_BAR = 0.10
# What predicts each format: the steps of the playbook, and their page's other recipe for 8 bits.
PREDICTED: Mapping[str, Change] = {
    "fp8": w8a8.STEP.change,
    "int8-weights": lambda scenario, edge: quantized(
        scenario, weight_quantization.weight_only(scenario, "int8-weights"), edge
    ),
    "int4-weights": lambda scenario, edge: quantized(
        scenario, weight_quantization.weight_only(scenario, "int4-weights"), edge
    ),
}
_DECODE_STEPS = 8


class Changes:
    """All predictions of a run; `errors` grow as they are tried."""

    def __init__(self, bed: Bed, recorded: Recorded, model: StepModel) -> None:
        self.bed, self.recorded, self.model = bed, recorded, model
        self.errors: list[float] = []

    def weights(self) -> Iterator[Row]:
        """A decode step in bf16, and with its weights in each format, at few rows and at many."""
        context = max(1, self.bed.sizes.context // 16)
        was = {rows: self._step_s(rows, context, CAPTURED) for rows in self.bed.sizes.rows}
        for form, change in PREDICTED.items():
            if why := why_not(form, self.bed.device):
                yield Row(what=f"bf16 to {form} weights", value=None, why=why)
                continue
            with self.bed.engine(CAPTURED, of=form) as engine:
                now = {rows: _decode_s(self.bed, engine, rows, context) for rows in was}
            for rows, seconds in was.items():
                what = f"decode step, {rows} rows, bf16 to {form} weights"
                told = self._predicted(change, rows, context)
                yield from self._held(what, now[rows] / seconds, told)

    def cache(self) -> Iterator[Row]:
        """A decode step over a long KV cache in bf16, and over the same in FP8."""
        rows, context = self.bed.sizes.kv
        was = self._step_s(rows, context, CAPTURED)
        now = self._step_s(rows, context, replace(CAPTURED, kv_cache="fp8"))
        what = f"decode step, {rows} rows of {context} tokens, KV cache bf16 to FP8"
        told = self._predicted(kv_cache_quantization.STEP.change, rows, context)
        yield from self._held(what, now / was, told)

    def batches(self, step_id: str) -> Iterator[Row]:
        """The recorded batches with a step of the playbook and without, A-B-B-A."""
        judged = self.recorded.known()
        told = predict(steps_of((step_id,)), judged.situation.scenario, draws=0).ratios
        changed = replace(RECORDED, **changes_on("cuda")[step_id])
        base, new = self.bed.opened(RECORDED), self.bed.opened(changed)
        try:
            batches = batches_of(judged.derived.requests)
            found = run_round({"base": base, "new": new}, batches, swapped=False)
        finally:
            new.close()
            base.close()
            self.bed.free()
        logs = {COST: found.log()} | {name: found.latency_log(name) for name in LATENCIES}
        for metric, log in logs.items():
            if metric not in told or math.isnan(log):
                why = "one of the two sides does not tell it"
                yield Row(what=f"{step_id}: {metric}", value=None, why=why)
            else:
                yield from self._held(f"{step_id}: {metric}", math.exp(log), told[metric].mid)

    def summary(self) -> Iterator[Row]:
        """The median over all predictions that were tried."""
        count = len(self.errors)
        yield Row(
            what=f"predicted against measured, median of {count}",
            value=median(self.errors) if self.errors else None,
            high=ERROR_BAR,
            why="" if self.errors else "no prediction was tried",
        )

    def _held(self, what: str, measured: float, told: float) -> Iterator[Row]:
        yield Row(what=f"{what}: measured", value=measured, unit="x")
        error = abs(told / measured - 1)
        self.errors.append(error)
        yield Row(what=f"{what}: predicted", value=told, unit="x", why=f"off by {error:.1%}")

    def _predicted(self, change: Change, rows: int, context: int) -> float:
        """What the change does to a decode step of this load, midway between its edges."""
        today, load = self._scenario(rows), decode_load(seqs=rows, context_tokens=context)
        was = today.step_time.seconds(load)
        ratios = [change(today, edge).step_time.seconds(load) / was for edge in Edge]
        return math.sqrt(ratios[0] * ratios[-1])

    def _scenario(self, rows: int) -> Scenario:
        """The recorded situation with captured steps and so many rows per decode step."""
        scenario = self.recorded.known().situation.scenario
        return replace(
            scenario,
            step_time=self.model.known(),
            traffic=replace(scenario.traffic, concurrency=rows),
            knobs=replace(scenario.knobs, kv_layout=KvLayout.STATIC),
        )

    def _step_s(self, rows: int, context: int, settings: EngineSettings) -> float:
        with self.bed.engine(settings) as engine:
            return _decode_s(self.bed, engine, rows, context)


def _decode_s(bed: Bed, engine: LocalEngine, rows: int, context: int) -> float:
    prepared = engine.prepare_decode(seqs=rows, context_tokens=context, steps=_DECODE_STEPS)
    return step_s(engine, prepared, bed.sizes.repeats)

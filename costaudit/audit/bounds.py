"""What rules the time of a phase: compute, bandwidth or overhead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.target import work
from costaudit.target.load import decode_load, prefill_load

if TYPE_CHECKING:
    from costaudit.measure.metrics import Bound, Metrics
    from costaudit.target.load import StepLoad
    from costaudit.whatif.scenario import Scenario


def with_bounds(metrics: Metrics, scenario: Scenario) -> Metrics:
    """The metrics with the bound of each phase, for a batch of the workload's mean lengths."""
    if scenario.step_time.free:
        return metrics  # without peaks nobody can say which of them binds
    most, streams = scenario.knobs.max_num_seqs, scenario.traffic.concurrency
    seqs = most if streams is None else min(most, streams)
    prompt = round(metrics.workload.prompt_tokens["mean"])
    context = prompt + round(metrics.workload.output_tokens["mean"] / 2)
    prefill = prefill_load(new_tokens=max(1, prompt), seqs=seqs)
    decode = decode_load(seqs=seqs, context_tokens=context)
    return replace(
        metrics,
        prefill=replace(metrics.prefill, bound=bound_of(scenario, prefill)),
        decode=replace(metrics.decode, bound=bound_of(scenario, decode)),
    )


def bound_of(scenario: Scenario, load: StepLoad) -> Bound:
    """The largest of: FLOPs at their peak, bytes at theirs, and the fitted overhead of a step."""
    model, shape = scenario.step_time, scenario.shape
    flops = work.prefill_flops(shape, load) + work.decode_flops(shape, load)
    moved = work.weight_bytes(shape, load.rows, model.param_bytes)
    moved += work.decode_kv_bytes(shape, load, model.kv_element_bytes)
    terms = model.terms_s(load)
    seconds: dict[Bound, float] = {
        "compute": flops / model.peaks.flops_per_s,
        "bandwidth": moved / model.peaks.bandwidth_bytes_per_s,
        "overhead": terms["overhead"] + terms["sequences"],
    }
    return max(seconds, key=lambda bound: seconds[bound])

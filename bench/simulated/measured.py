"""What a recording would say of the bench's machine: nothing that a step could take for trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.stats import Interval, mean
from costaudit.measure.metrics import (
    DeviceMetrics,
    KvMetrics,
    Metrics,
    Percentiles,
    PhaseMetrics,
    WorkloadMetrics,
)
from costaudit.target.target import Origin, Target, Value

if TYPE_CHECKING:
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario


def metrics_of(scenario: Scenario, outcome: Outcome) -> Metrics:
    """Metrics that agree with a simulated window."""
    return Metrics(
        target=Target(
            kind="in-process",
            engine="transformers",
            engine_version="5",
            model=scenario.shape.name,
            weights="made up",
            dtype="bfloat16",
            shape=scenario.shape,
            knobs={},
        ),
        device=_device(scenario),
        workload=_workload(scenario),
        prefill=_phase(outcome.prompt_tokens, outcome.prefill_s),
        decode=_phase(outcome.output_tokens, outcome.decode_s),
        kv=KvMetrics(
            bytes_per_token=None,
            bytes_per_token_formula=None,
            capacity_tokens=scenario.knobs.kv_budget_tokens,
            usage_peak_share=outcome.kv.usage_peak_share,
            waste_share=outcome.kv.waste_share,
        ),
        paid_device_s=Interval(low=outcome.window_s, high=outcome.window_s),
    )


def _device(scenario: Scenario) -> DeviceMetrics:
    peaks = scenario.step_time.peaks
    flops = Value(value=peaks.flops_per_s, origin=Origin.GIVEN)
    bandwidth = Value(value=peaks.bandwidth_bytes_per_s, origin=Origin.GIVEN)
    return DeviceMetrics(
        name="H100 SXM",
        kind="cuda",
        count=1,
        memory_bytes=80 * 2**30,
        peak_flops=flops,
        peak_bandwidth_bytes_per_s=bandwidth,
        datasheet_flops=flops,
        datasheet_bandwidth_bytes_per_s=bandwidth,
    )


def _workload(scenario: Scenario) -> WorkloadMetrics:
    requests = scenario.traffic.requests
    prompts = [float(request.prompt_tokens) for request in requests]
    return WorkloadMetrics(
        probe="bench",
        stands_for="the traffic of the bench",
        prompt_tokens={"mean": mean(prompts)},
        output_tokens={"mean": mean([float(request.output_tokens) for request in requests])},
        prefix_share=sum(request.prefix_tokens for request in requests) / sum(prompts),
        requests=len(requests),
        scale=1.0,
        scale_why="",
        slo={"ttft_s": 2.0, "itl_s": 0.2},  # as the probe chat has it
    )


def _phase(tokens: int, seconds: float) -> PhaseMetrics:
    return PhaseMetrics(
        tokens_per_s=tokens / seconds if seconds else None,
        mfu=None,
        mbu=None,
        latency_s=Percentiles(p50=None, p95=None, p99=None, samples=0),
        bound=None,
        device_s=seconds,
        bandwidth_tier="",
    )

"""Builds a situation from the tables of a case file; what a case does not say is ordinary."""

from __future__ import annotations

from dataclasses import replace

from costaudit.ground.stats import Interval
from costaudit.ground.toml import check_keys
from costaudit.measure.metrics import (
    DeviceMetrics,
    KvMetrics,
    Metrics,
    Percentiles,
    PhaseMetrics,
    WorkloadMetrics,
)
from costaudit.playbook.step import Situation
from costaudit.target.shape import Experts, ModelShape
from costaudit.target.target import Origin, Target, Value
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.latency import Gaps
from costaudit.whatif.outcome import KvOutcome, Outcome
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Router, Scenario
from costaudit.whatif.steptime import Peaks, StepTime

SHAPE = ModelShape(
    name="eight billion",
    architecture="llama",
    layers=32,
    hidden=4096,
    ffn=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128256,
    max_context_tokens=8192,
)
EXPERTS = Experts(count=64, per_token=8, ffn=1024)
COEFFICIENTS = {
    "overhead": 2e-3,
    "sequences": 25e-6,
    "weights": 1.11,
    "kv": 1.14,
    "decode_compute": 1.67,
    "prefill_compute": 1.54,
}
DRAWS = tuple({k: v * f for k, v in COEFFICIENTS.items()} for f in (0.97, 1.03))
KNOBS = {
    "batching": "static",
    "max_num_seqs": 8,
    "kv_layout": "dynamic",
    "kv_budget_tokens": 1_000_000,
    "max_model_len": 4096,
    "prefix_caching": False,
}
CASE_KEYS = (
    "name", "expect", "says", "knobs", "traffic", "prices", "step_time", "outcome", "kv_outcome",
    "unknown", "unknown_knobs", "device_kind", "experts", "engine", "kind", "given_knobs", "slo",
    "deployment", "memory_bytes", "no_shape", "gaps", "tensor_parallel", "probe", "shape",
)  # fmt: skip


def step_time(**fields):
    base = StepTime(
        shape=SHAPE,
        peaks=Peaks(flops_per_s=9e14, bandwidth_bytes_per_s=3.3e12),
        param_bytes=2.0,
        kv_element_bytes=2.0,
        coefficients=COEFFICIENTS,
        draws=DRAWS,
        error_p50_share=0.03,
        error_p90_share=0.08,
    )
    return replace(base, **fields)


def traffic(*, requests=None, repeat=1, concurrency=8, window_s=None):
    rows = requests or [{"prompt_tokens": 400, "output_tokens": o} for o in (50, 100, 200, 400)]
    made = tuple(Request(**row) for row in rows) * repeat
    return Traffic(source="case", requests=made, concurrency=concurrency or None, window_s=window_s)


def outcome(kv_outcome=None, **fields):
    kv = KvOutcome(
        usage_peak_share=0.5,
        waste_share=0.3,
        preemptions=0,
        recomputed_tokens=0,
        prefix_hit_share=0.0,
        max_concurrency=8,
    )
    base = Outcome(
        prompt_tokens=1600,
        output_tokens=750,
        requests=4,
        steps=400,
        window_s=10.0,
        busy_s=10.0,
        prefill_s=4.0,
        decode_s=6.0,
        queue_idle_s=0.0,
        demand_idle_s=0.0,
        padded_prefill_tokens=0,
        padded_decode_rows=850,
        duplicate_prefill_tokens=0,
        kv=replace(kv, **(kv_outcome or {})),
        busy_terms_s={
            "overhead": 1.0,
            "sequences": 0.5,
            "weights": 4.0,
            "kv": 1.0,
            "decode_compute": 0.5,
            "prefill_compute": 3.0,
            "link": 0.0,
        },
    )
    return replace(base, **fields)


def scenario(case=None):
    case = case or {}
    knobs = KNOBS | case.get("knobs", {})
    shape = replace(SHAPE, experts=EXPERTS) if case.get("experts") else SHAPE
    shape = replace(shape, **case.get("shape", {}))
    fields = dict(case.get("step_time", {}))
    if ways := case.get("tensor_parallel"):
        fields["peaks"] = Peaks(flops_per_s=9e14, bandwidth_bytes_per_s=3.3e12, devices=ways)
    return Scenario(
        shape=shape,
        step_time=step_time(shape=shape, **fields),
        knobs=Knobs(
            **knobs
            | {
                "batching": Batching(knobs["batching"]),
                "kv_layout": KvLayout(knobs["kv_layout"]),
            }
        ),
        traffic=traffic(**case.get("traffic", {})),
        prices=Prices(**{"usd_per_device_h": 2.0} | case.get("prices", {})),
        device_kind=case.get("device_kind", "cuda"),
        **deployment(case),
    )


def deployment(case):
    given = dict(case.get("deployment", {}))
    if "router" in given:
        given["router"] = Router(given["router"])
    return given


def situation(case):
    check_keys(case, CASE_KEYS, f"case {case.get('name')!r}")
    return Situation(
        metrics=_metrics(case),
        scenario=scenario(case),
        outcome=outcome(
            case.get("kv_outcome"),
            **case.get("outcome", {}) | ({"gaps": gaps(case["gaps"])} if "gaps" in case else {}),
        ),
    )


def gaps(counted):
    """Pairs of seconds and how often."""
    return Gaps(seconds=tuple(s for s, _ in counted), counts=tuple(n for _, n in counted))


def _metrics(case):
    known = Value(value=1.0, origin=Origin.OBSERVED)
    none = Percentiles(p50=None, p95=None, p99=None, samples=0)
    phase = PhaseMetrics(
        tokens_per_s=None,
        mfu=None,
        mbu=None,
        latency_s=none,
        bound=None,
        device_s=1.0,
        bandwidth_tier="",
    )
    return Metrics(
        target=Target(
            kind=case.get("kind", "in-process"),
            engine=case.get("engine", "transformers"),
            engine_version="5",
            model="case",
            weights="random",
            dtype="bfloat16",
            shape=None if case.get("no_shape") else SHAPE,
            knobs={
                name: Value(value=None, origin=Origin.UNKNOWN, why="the server does not say")
                for name in case.get("unknown_knobs", ())
            }
            | {
                name: Value(value=value, origin=Origin.EXPORTED)
                for name, value in case.get("given_knobs", {}).items()
            },
        ),
        device=DeviceMetrics(
            name="case",
            kind=case.get("device_kind", "cuda"),
            count=1,
            memory_bytes=case.get("memory_bytes"),
            peak_flops=known,
            peak_bandwidth_bytes_per_s=known,
            datasheet_flops=known,
            datasheet_bandwidth_bytes_per_s=known,
        ),
        workload=WorkloadMetrics(
            probe=case.get("probe", "case"),
            stands_for="a case",
            prompt_tokens={},
            output_tokens={},
            prefix_share=0.0,
            requests=4,
            scale=1.0,
            scale_why="",
            slo=case.get("slo", {}),
        ),
        prefill=phase,
        decode=phase,
        kv=KvMetrics(
            bytes_per_token=None,
            bytes_per_token_formula=None,
            capacity_tokens=None,
            usage_peak_share=None,
            waste_share=None,
        ),
        paid_device_s=Interval(low=1.0, high=1.0),
        unknown=case.get("unknown", {}),
    )

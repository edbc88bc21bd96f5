"""Observations whose seconds are computed, so that the true change is known."""

from __future__ import annotations

from dataclasses import replace

from costaudit.contrast.observation import Observation, Unit

ENVIRONMENT = {
    "device": "H100",
    "devices": "1",
    "driver": "570.1",
    "model": "abc",
    "workload": "chat",
    "scale": "1",
    "streams": "8",
}
COUNTERS = {"kv_bytes_per_token": 2048.0, "computed_tokens": 300.0, "preemptions": 0.0}


def observed(factor: float = 1.0, *, pace_s: float | None = None, **changes: object) -> Observation:
    """A recording that takes `factor` of a second per thousand tokens."""
    units = {
        f"replay-{n}/x": Unit(
            requests=4,
            tokens=1000,
            device_s=factor,
            prefill_s=0.25 * factor,
            decode_s=0.75 * factor,
            pace_s=pace_s,
        )
        for n in range(3)
    }
    made = Observation(
        name="run.costaudit",
        created="2026-01-01",
        clock="thread_time",
        environment=ENVIRONMENT,
        software={"torch": "2.6"},
        counters=COUNTERS,
        units=units,
        latencies_s={"ttft_p50_s": 0.1 * factor, "itl_p95_s": 0.02 * factor},
        within_share=0.0,
        contention_share=0.0,
        usd_per_device_h=2.0,
        price_as_of="2026-01-01",
    )
    return replace(made, **changes)

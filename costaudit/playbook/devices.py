"""Other devices than today's: which would serve the traffic for less, and what it then comes to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from costaudit.facts.gpus import gpu_specs
from costaudit.facts.prices import price_of_gpu
from costaudit.playbook.admission import demand, with_room
from costaudit.playbook.memory import pool_tokens
from costaudit.target.load import decode_load, prefill_load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.whatif.scenario import Scenario

MEMORY_SHARE = 0.9  # of a device's memory for weights and pool: what engines take by default
BOOK_DAY = dt.date(2026, 11, 21)  # the day on which the shipped price list was put together
LEAST_SHARE = 0.95  # a device must come to less than this of today's cost to be worth a move


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU by its datasheet and its median price on demand."""

    name: str
    memory_bytes: float
    flops_per_s: float  # dense, 16 bits
    bandwidth_bytes_per_s: float
    link_bytes_per_s: float | None
    usd_per_device_h: float
    provider: str
    as_of: str


@cache
def listed() -> tuple[Device, ...]:
    """GPUs with a 16-bit rate and a price that is not stale."""
    found = []
    for spec in gpu_specs():
        price = price_of_gpu(spec.name, BOOK_DAY)
        flops = spec.peak_flops.get("bf16")
        if price is None or price.stale or not flops:
            continue
        found.append(
            Device(
                name=spec.name,
                memory_bytes=spec.memory_gb * 1e9,
                flops_per_s=flops,
                bandwidth_bytes_per_s=spec.bandwidth_bytes_per_s,
                link_bytes_per_s=(spec.nvlink_bytes_per_s or 0.0) / 2 or None,
                usd_per_device_h=price.usd_per_device_h,
                provider=price.provider,
                as_of=price.as_of,
            )
        )
    return tuple(found)


def cheapest(scenario: Scenario) -> Device | None:
    """The listed device on which the traffic costs least, if that is noticeably less than today.

    Judged by one second-hand estimate for all: prompts one after the other, then decoding at full
    rows over the mean context; the simulation has the last word.
    """
    usd = scenario.prices.usd_per_device_h
    if not usd or scenario.device_kind != "cuda" or scenario.step_time.free:
        return None
    best = min(_fitting(scenario), key=lambda d: _cost(moved(scenario, d, 1.0)), default=None)
    if best is None or _cost(moved(scenario, best, 1.0)) > LEAST_SHARE * _cost(scenario):
        return None
    return best


def _fitting(scenario: Scenario) -> Sequence[Device]:
    """Devices, as many as today, whose pool holds the longest request and half of today's pool."""
    requests = scenario.traffic.requests
    longest = max((r.prompt_tokens + r.output_tokens for r in requests), default=0)
    wanted = max(longest, scenario.knobs.kv_budget_tokens / 2)
    return [device for device in listed() if _pool(scenario, device) >= wanted]


def _pool(scenario: Scenario, device: Device) -> int:
    return pool_tokens(scenario, device.memory_bytes * MEMORY_SHARE * scenario.devices)


def moved(scenario: Scenario, device: Device, reached: float) -> Scenario:
    """The same on another device: `reached` of the datasheet's rates count as its peaks."""
    peaks, ways = scenario.step_time.peaks, scenario.devices
    there = replace(
        peaks,
        flops_per_s=device.flops_per_s * reached * ways,
        bandwidth_bytes_per_s=device.bandwidth_bytes_per_s * reached * ways,
        link_bytes_per_s=device.link_bytes_per_s or peaks.link_bytes_per_s,
    )
    larger = replace(
        scenario,
        step_time=replace(scenario.step_time, peaks=there),
        knobs=replace(scenario.knobs, kv_budget_tokens=_pool(scenario, device)),
        prices=replace(scenario.prices, usd_per_device_h=device.usd_per_device_h),
    )
    return with_room(scenario, larger)


def _cost(scenario: Scenario) -> float:
    traffic, step_time = scenario.traffic, scenario.step_time
    requests = max(1, len(traffic.requests))
    prompt, output = traffic.prompt_tokens / requests, traffic.output_tokens / requests
    rows = max(1, min(scenario.knobs.max_num_seqs, demand(scenario)))
    prefill_s = step_time.seconds(prefill_load(new_tokens=max(1, round(prompt))))
    context = round(prompt + output / 2)
    decode_s = step_time.seconds(decode_load(seqs=rows, context_tokens=context))
    return (prefill_s + output * decode_s / rows) * (scenario.prices.usd_per_device_h or 0.0)

"""One replica of a made-up fleet: the counters that its engine would have had, tick by tick.

A fluid model of continuous batching: a step takes `decode_step_s` and `prefill_token_s` for each
prompt token in it, arrivals follow the day, what finds no seat or no KV cache waits. The counters
obey the identities of vLLM's (inter-token gaps = generated tokens − requests, …), so the GPU
seconds of prefill and of decode are known exactly and can be held against what is derived.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ticks = NDArray[np.float64]

MOST_WAITING = 64.0  # clients give up beyond
DAY_S = 86_400.0
PREEMPTED_PER_S = 0.5  # while the cache is full


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is served: mean lengths in tokens, and what a step of its engine takes."""

    name: str
    gpu: str
    prompt_tokens: float
    output_tokens: float
    decode_step_s: float
    prefill_token_s: float
    kv_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is the matter with a replica: the truth that a diagnosis should find.

    `load` is the share of its seats asked for at midday; `seats` is max_num_seqs. `restarts`: its
    counters begin anew in the middle; `late`: it is there for the second half only.
    """

    name: str
    load: float
    seats: int = 256
    kv_share: float = 1.0
    prefix_caching: bool = True
    hit_share: float = 0.5
    restarts: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Gauges at each tick, counters as totals at each tick, and the truth behind them.

    Before a late replica is there its values are NaN.
    """

    gauges: dict[str, Ticks]
    totals: dict[str, Ticks]
    generated_tokens: float
    prefill_gpu_s: float
    decode_gpu_s: float


def live(
    model: Model, state: State, *, ticks: int, tick_s: float, start_s: float, seed: int
) -> Life:
    """The life of a replica over `ticks` ticks of `tick_s` seconds, from Unix second `start_s`."""
    random = np.random.default_rng(seed)
    at_s = start_s + tick_s * np.arange(ticks)
    day = 1 + 0.6 * np.sin(2 * math.pi * (at_s % DAY_S) / DAY_S - math.pi / 2)
    computed = model.prompt_tokens * (1 - state.hit_share if state.prefix_caching else 1)
    prefill_s = computed * model.prefill_token_s
    room = model.kv_tokens * state.kv_share / (model.prompt_tokens + model.output_tokens / 2)
    most = min(state.seats, room)
    midday = _arrivals(model, state.load * most, prefill_s)
    wanted = midday * day / 1.6 * random.gamma(25.0, 1 / 25.0, ticks)
    half = ticks // 2
    wanted[:half] *= not state.late
    served, step_s, running, waiting = _served(model, wanted, most, prefill_s, tick_s)
    busy_s = tick_s * (1 - np.exp(-running))
    full = (running >= 0.99 * room) & (waiting > 0)
    per_tick = {
        "requests": served * tick_s,
        "prompt": served * tick_s * model.prompt_tokens,
        "computed": served * tick_s * computed,
        "generated": served * tick_s * model.output_tokens,
        "steps": busy_s / step_s,
        "preemptions": np.where(full, PREEMPTED_PER_S * tick_s, 0.0),
        "gaps_s": running * tick_s,
        "prefill_s": served * tick_s * (step_s + prefill_s),
        "queue_s": waiting * tick_s,
    }
    totals = {name: np.floor(np.cumsum(amount)) for name, amount in per_tick.items()}
    for name in ("gaps_s", "prefill_s", "queue_s"):
        totals[name] = np.cumsum(per_tick[name]).round(3)
    kv = np.where(full, 1.0 - 0.05 * random.random(ticks), np.minimum(1.0, running / room))
    gauges = {"running": running.round(), "waiting": waiting.round(), "kv": kv.round(4)}
    prefill_gpu_s = float(per_tick["computed"].sum() * model.prefill_token_s)
    return _lived(gauges, totals, state, prefill_gpu_s, float(busy_s.sum()) - prefill_gpu_s)


def _lived(
    gauges: dict[str, Ticks],
    totals: dict[str, Ticks],
    state: State,
    prefill_gpu_s: float,
    decode_gpu_s: float,
) -> Life:
    """The life with what a restart, or a late start, makes of its series."""
    life = Life(
        gauges=gauges,
        totals=totals,
        generated_tokens=float(totals["generated"][-1]),
        prefill_gpu_s=prefill_gpu_s,
        decode_gpu_s=decode_gpu_s,
    )
    half = len(gauges["kv"]) // 2
    for values in life.totals.values() if state.restarts else ():
        values[half:] -= values[half]
    for values in [*life.totals.values(), *life.gauges.values()] if state.late else ():
        values[:half] = np.nan
    return life


def _arrivals(model: Model, seats: float, prefill_s: float) -> float:
    """Requests per second that keep so many seats taken.

    Running = rate · output · step, and a step takes decode / (1 − rate · prefill of a request).
    """
    return seats / (model.output_tokens * model.decode_step_s + seats * prefill_s)


def _served(
    model: Model, wanted: Ticks, most: float, prefill_s: float, tick_s: float
) -> tuple[Ticks, Ticks, Ticks, Ticks]:
    """Requests per second that ran, seconds of a step, requests running and waiting."""
    decode_s = model.output_tokens * model.decode_step_s
    fastest = _arrivals(model, most, prefill_s)
    served, step_s = np.empty_like(wanted), np.empty_like(wanted)
    running, waiting = np.empty_like(wanted), np.empty_like(wanted)
    queue = 0.0
    for tick, rate in enumerate(wanted):
        asked = rate + queue / tick_s
        done = min(asked, fastest)
        queue = min(MOST_WAITING, (asked - done) * tick_s)
        step_s[tick] = model.decode_step_s / (1 - done * prefill_s)
        running[tick] = done * decode_s / (1 - done * prefill_s)
        served[tick], waiting[tick] = done, queue
    return served, step_s, running, waiting

"""The closed bill: device-seconds by cause, from the speed of light up to what was paid.

T(S) are the device-seconds that the steps of the window need with only the wastes S in them. Each
waste gets its Shapley value of T, the mean of what it adds over all orders of removal; the least
and the most it adds is its interaction band. Taking a waste out never makes a step longer, so no
waste is below zero, however requests arrive. What remains without any waste, T(nothing), is the
speed of light, and paid minus T(all) is `unexplained`, the only slice with a sign. Idle time is a
matter of demand and of the size of the fleet, not of the steps: it is held at what the window
shows, so that it adds up plainly and a faster step does not turn into idle.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.bill.dollars import SECONDS_PER_H, per_1m, rate_usd_per_device_h
from costaudit.bill.replay import replay_of
from costaudit.bill.shapley import Share, shapley
from costaudit.bill.slices import Bill, Slice, SliceId
from costaudit.ground.stats import Interval
from costaudit.whatif.scenario import Batching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario

# Term of the ideal step time that holds each part of the speed of light.
IDEAL_TERMS: Mapping[SliceId, str] = {
    SliceId.PREFILL_IDEAL: "prefill_compute",
    SliceId.DECODE_WEIGHTS_IDEAL: "weights",
    SliceId.DECODE_KV_IDEAL: "kv",
}
SWITCHED = (
    SliceId.KERNEL_INEFFICIENCY,
    SliceId.STEP_OVERHEAD,
    SliceId.PADDING,
    SliceId.DUPLICATE_PREFILL,
    SliceId.PREEMPTION,
)
SOURCES: Mapping[SliceId, str] = {
    SliceId.PREFILL_IDEAL: "prompt tokens and their context by formula, at the measured peaks",
    SliceId.DECODE_WEIGHTS_IDEAL: "weights read per decode step, at the measured peaks",
    SliceId.DECODE_KV_IDEAL: "cached tokens read per decode step, at the measured peaks",
    SliceId.KERNEL_INEFFICIENCY: "fitted step time over the roofline of the same steps",
    SliceId.STEP_OVERHEAD: "fitted seconds per step and per sequence that do no work",
    SliceId.PADDING: "padded prompt tokens and rows that had ended, counted per batch",
    SliceId.DUPLICATE_PREFILL: "prompt tokens of a shared prefix that were prefilled before",
    SliceId.PREEMPTION: "tokens recomputed after preemption",
    SliceId.QUEUE_IDLE: "seconds without a step while requests waited",
    SliceId.DEMAND_IDLE: "seconds without a request in the window",
    SliceId.UNEXPLAINED: "device-seconds paid minus those of the replay with every waste",
}
NO_LIGHT = (
    "the device's peaks or the model's shape are not known, so there is no speed of light;"
    " a server's are given by --gpu and --model-config"
)
CLOSED_LOOP = (
    "the workload offers work without pause, so lack of demand cannot show;"
    " a real traffic log would tell"
)


def build_bill(
    scenario: Scenario,
    outcome: Outcome,
    *,
    paid_device_s: float | Interval,
    whole_device_s: float | None = None,
    sources: Mapping[SliceId, str] | None = None,
) -> Bill:
    """The bill of a window that cost `paid_device_s` and went as `outcome` says.

    Args:
        scenario: what was served, and at which price.
        outcome: the simulation of that scenario, all wastes present; its tokens are billed.
        paid_device_s: device-seconds of all devices; both ends of an interval are the ends of
            the dollars.
        whole_device_s: what the slices sum to. By default the low end of the interval (fastest
            and mean of the rounds): noise only adds time, as it does to the step times.
        sources: the observed quantities behind a slice, where they differ from SOURCES.

    Raises:
        InconclusiveError: no tokens were served, or by several replicas, or some were drafted.
    """
    paid = paid_device_s
    if not isinstance(paid, Interval):
        paid = Interval(low=paid, high=paid)
    whole_s = paid.low if whole_device_s is None else whole_device_s
    unpriced = Bill(
        gpu_s=whole_s,
        slices=_slices(scenario, outcome, paid, whole_s, {**SOURCES, **(sources or {})}),
        prompt_tokens=outcome.prompt_tokens,
        output_tokens=outcome.output_tokens,
        prefill_share=outcome.prefill_s / outcome.busy_s if outcome.busy_s else 0.0,
        usd_per_gpu_h=None,
        usd_per_1m_tokens=None,
        usd_per_1m_input=None,
        usd_per_1m_output=None,
        gpu_s_per_1m_tokens=per_1m(whole_s, outcome.prompt_tokens + outcome.output_tokens),
    )
    rate = rate_usd_per_device_h(scenario.prices)
    return unpriced if rate is None else _priced(unpriced, paid, rate)


def _priced(bill: Bill, paid: Interval, usd_per_gpu_h: float) -> Bill:
    """The bill in dollars per million tokens."""
    tokens, usd_per_s = bill.prompt_tokens + bill.output_tokens, usd_per_gpu_h / SECONDS_PER_H
    prefill_usd = bill.gpu_s * bill.prefill_share * usd_per_s
    decode_usd = bill.gpu_s * (1 - bill.prefill_share) * usd_per_s
    return replace(
        bill,
        usd_per_gpu_h=usd_per_gpu_h,
        usd_per_1m_tokens=Interval(
            low=per_1m(paid.low * usd_per_s, tokens), high=per_1m(paid.high * usd_per_s, tokens)
        ),
        usd_per_1m_input=per_1m(prefill_usd, bill.prompt_tokens) if bill.prompt_tokens else None,
        usd_per_1m_output=per_1m(decode_usd, bill.output_tokens) if bill.output_tokens else None,
    )


def _slices(
    scenario: Scenario,
    outcome: Outcome,
    paid: Interval,
    whole_s: float,
    sources: Mapping[SliceId, str],
) -> tuple[Slice, ...]:
    absent = _absent(scenario, outcome)
    fixed = {SliceId.KERNEL_INEFFICIENCY} if scenario.step_time.free else set()
    players = tuple(waste for waste in SWITCHED if waste not in absent.keys() | fixed)
    ideal, shares = _attribute(scenario, players)
    idle = {
        SliceId.QUEUE_IDLE: outcome.queue_idle_s * scenario.devices,
        SliceId.DEMAND_IDLE: outcome.demand_idle_s * scenario.devices,
    }
    shares |= {
        waste: Share(value=seconds, band=Interval(low=seconds, high=seconds))
        for waste, seconds in idle.items()
    }
    slices = []
    for part in SliceId:
        if part in IDEAL_TERMS and scenario.step_time.free:
            slices.append(_untold(part, NO_LIGHT, sources, SliceId.KERNEL_INEFFICIENCY))
        elif part in ideal:
            slices.append(Slice(id=part, gpu_s=ideal[part], band_gpu_s=None, source=sources[part]))
        elif part is SliceId.DEMAND_IDLE and scenario.traffic.concurrency is not None:
            slices.append(_untold(part, CLOSED_LOOP, sources, SliceId.UNEXPLAINED))
        elif part is not SliceId.UNEXPLAINED:
            slices.append(_waste(part, shares.get(part), absent.get(part, ""), sources))
    told = math.fsum(s.gpu_s for s in slices if s.gpu_s is not None)
    rest = Interval(low=paid.low - told, high=paid.high - told)
    return (
        *slices,
        Slice(
            id=SliceId.UNEXPLAINED,
            gpu_s=whole_s - told,
            band_gpu_s=rest,
            source=sources[SliceId.UNEXPLAINED],
        ),
    )


def _absent(scenario: Scenario, outcome: Outcome) -> dict[SliceId, str]:
    """Wastes that this window cannot hold, each with its reason; they cost nothing."""
    absent = {}
    if scenario.knobs.batching is Batching.CONTINUOUS:
        absent[SliceId.PADDING] = "continuous batching pads nothing"
    elif not outcome.padded_prefill_tokens + outcome.padded_decode_rows:
        absent[SliceId.PADDING] = "the requests of each batch are equally long"
    if not outcome.duplicate_prefill_tokens:
        absent[SliceId.DUPLICATE_PREFILL] = "no prompt token of a shared prefix was computed twice"
    if not outcome.kv.preemptions:
        absent[SliceId.PREEMPTION] = "no sequence was preempted"
    return absent


def _attribute(
    scenario: Scenario, players: tuple[SliceId, ...]
) -> tuple[dict[SliceId, float], dict[SliceId, Share]]:
    """The speed of light by part and each waste's share, in device-seconds."""
    replay, others = replay_of(scenario), frozenset(SWITCHED) - frozenset(players)

    def cost(present: frozenset[SliceId]) -> float:
        return math.fsum(replay.terms_s(present | others).values()) * scenario.devices

    light, shares = replay.terms_s(others), dict(shapley(players, cost))
    if scenario.step_time.free:  # the kernels' time as a whole, ideal or not
        left = cost(frozenset())
        return {}, {
            **shares,
            SliceId.KERNEL_INEFFICIENCY: Share(value=left, band=Interval(low=left, high=left)),
        }
    return {part: light[term] * scenario.devices for part, term in IDEAL_TERMS.items()}, shares


def _waste(part: SliceId, share: Share | None, why: str, sources: Mapping[SliceId, str]) -> Slice:
    if share is None:
        share = Share(value=0.0, band=Interval(low=0.0, high=0.0))
    return Slice(id=part, gpu_s=share.value, band_gpu_s=share.band, source=sources[part], why=why)


def _untold(part: SliceId, why: str, sources: Mapping[SliceId, str], inside: SliceId) -> Slice:
    return Slice(id=part, gpu_s=None, band_gpu_s=None, source=sources[part], why=why, inside=inside)

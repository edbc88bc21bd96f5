"""The bill closes, names its sources, and agrees with what the window shows."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from drawn_windows import windows
from hypothesis import given, settings
from hypothesis import strategies as st
from model_shapes import DENSE

from costaudit.bill.dollars import device_s_per_1m, usd_per_1m
from costaudit.bill.replay import replay_of
from costaudit.bill.slices import SliceId
from costaudit.bill.waterfall import build_bill
from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import Interval
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import Peaks, StepTime

pytestmark = pytest.mark.slow  # all of it together

STEP_TIME = StepTime(
    shape=DENSE,
    peaks=Peaks(flops_per_s=1e11, bandwidth_bytes_per_s=2e10),
    param_bytes=4,
    kv_element_bytes=4,
    coefficients={
        "overhead": 1e-3,
        "sequences": 5e-5,
        "weights": 1.1,
        "kv": 1.3,
        "decode_compute": 0.5,
        "prefill_compute": 1.5,
    },
)
IDEALS = (SliceId.PREFILL_IDEAL, SliceId.DECODE_WEIGHTS_IDEAL, SliceId.DECODE_KV_IDEAL)


def make(requests, *, concurrency=8, window_s=None, prices=None, devices=1, **knobs):
    given_knobs = {
        "batching": Batching.STATIC,
        "max_num_seqs": 8,
        "kv_layout": KvLayout.DYNAMIC,
        "kv_budget_tokens": 50_000,
        **knobs,
    }
    return Scenario(
        shape=DENSE,
        step_time=STEP_TIME,
        knobs=Knobs(**given_knobs),
        traffic=Traffic(
            source="made", requests=tuple(requests), concurrency=concurrency, window_s=window_s
        ),
        prices=prices or Prices(usd_per_device_h=2.0),
        devices=devices,
    )


def chat(count, *, prefix_tokens=32, gap_s=0.0):
    return [
        Request(
            prompt_tokens=40 + 37 * i % 90,
            output_tokens=1 + 53 * i % 120,
            arrival_s=i * gap_s,
            prefix_id=i % 3,
            prefix_tokens=prefix_tokens,
        )
        for i in range(count)
    ]


def bill_of(scenario, factor=1.03, **given_to_bill):
    outcome = simulate(scenario)
    paid = outcome.window_s * scenario.devices * factor
    return build_bill(scenario, outcome, **{"paid_device_s": paid, **given_to_bill})


def seconds(bill):
    return {part.id: part.gpu_s for part in bill.slices}


@settings(max_examples=150, deadline=None)
@given(scenario=windows(), factor=st.floats(0.5, 2.0))
def test_the_slices_sum_to_the_whole(*, scenario, factor):
    outcome = simulate(scenario)
    bill = bill_of(scenario, factor)
    told = seconds(bill)
    assert list(told) == list(SliceId)
    whole = sum(value for value in told.values() if value is not None)
    assert whole == pytest.approx(bill.gpu_s, rel=1e-9)
    # what the replay cannot explain is exactly what was paid beyond the window
    beyond = outcome.window_s * scenario.devices * (factor - 1)
    assert told[SliceId.UNEXPLAINED] == pytest.approx(beyond, abs=1e-9 * bill.gpu_s)
    for part in bill.slices[:-1]:
        assert part.source
        if part.gpu_s is None:
            assert part.why
            assert part.inside


@settings(max_examples=150, deadline=None)
@given(windows())
def test_no_waste_is_ever_below_zero(scenario):
    for part in bill_of(scenario).slices[:-1]:
        assert part.gpu_s is None or part.gpu_s >= -1e-12
        if part.band_gpu_s:
            assert part.band_gpu_s.low >= -1e-12
            assert part.band_gpu_s.low - 1e-12 <= part.gpu_s <= part.band_gpu_s.high + 1e-12


def test_the_units_times_the_tokens_are_the_bill():
    bill = bill_of(make(chat(40)), paid_device_s=Interval(low=10.0, high=11.0))
    usd = bill.gpu_s / 3600 * bill.usd_per_gpu_h
    units = bill.usd_per_1m_input * bill.prompt_tokens + bill.usd_per_1m_output * bill.output_tokens
    assert bill.gpu_s == 10.0
    assert units / 1e6 == pytest.approx(usd, rel=1e-12)
    tokens = bill.prompt_tokens + bill.output_tokens
    assert bill.usd_per_1m_tokens.low * tokens / 1e6 == pytest.approx(usd, rel=1e-12)
    assert bill.usd_per_1m_tokens.high / bill.usd_per_1m_tokens.low == pytest.approx(1.1)
    assert bill.gpu_s_per_1m_tokens == pytest.approx(10e6 / tokens)
    unexplained = bill.slices[-1]
    assert unexplained.band_gpu_s.high - unexplained.band_gpu_s.low == pytest.approx(1.0)


def test_speed_of_light_is_what_no_waste_leaves():
    scenario = make(chat(40))
    told = seconds(bill_of(scenario))
    light = sum(replay_of(scenario).terms_s(frozenset()).values())
    assert sum(told[part] for part in IDEALS) == pytest.approx(light, rel=1e-12)


def test_a_waste_without_interaction_gets_what_it_costs():
    """Equal requests, no prefix, continuous: overhead and kernels add up plainly."""
    requests = [Request(prompt_tokens=50, output_tokens=20)] * 16
    scenario = make(requests, batching=Batching.CONTINUOUS)
    outcome, told = simulate(scenario), seconds(bill_of(scenario))
    terms = outcome.busy_terms_s
    assert told[SliceId.STEP_OVERHEAD] == pytest.approx(terms["overhead"] + terms["sequences"])
    light = sum(replay_of(scenario).terms_s(frozenset()).values())
    rest = outcome.busy_s - terms["overhead"] - terms["sequences"] - light
    assert told[SliceId.KERNEL_INEFFICIENCY] == pytest.approx(rest)
    assert told[SliceId.PADDING] == told[SliceId.DUPLICATE_PREFILL] == 0


def test_every_possible_waste_shows():
    static = seconds(bill_of(make(chat(60))))
    for waste in (
        SliceId.KERNEL_INEFFICIENCY,
        SliceId.STEP_OVERHEAD,
        SliceId.PADDING,
        SliceId.DUPLICATE_PREFILL,
    ):
        assert static[waste] > 0
    assert static[SliceId.PREEMPTION] == 0
    tight = make(
        chat(60),
        batching=Batching.CONTINUOUS,
        kv_layout=KvLayout.PAGED,
        kv_budget_tokens=700,
    )
    assert seconds(bill_of(tight))[SliceId.PREEMPTION] > 0


def test_prefix_caching_empties_the_slice_of_duplicates():
    scenario = make(
        chat(30), batching=Batching.CONTINUOUS, kv_layout=KvLayout.PAGED, prefix_caching=True
    )
    part = next(s for s in bill_of(scenario).slices if s.id is SliceId.DUPLICATE_PREFILL)
    assert part.gpu_s == 0
    assert "no prompt token" in part.why


def test_idle_is_what_the_window_shows():
    scenario = make(chat(30, gap_s=0.5), concurrency=None, batch_wait_s=1.0, window_s=60.0)
    outcome, told = simulate(scenario), seconds(bill_of(scenario))
    assert told[SliceId.QUEUE_IDLE] == pytest.approx(outcome.queue_idle_s) != 0
    assert told[SliceId.DEMAND_IDLE] == pytest.approx(outcome.demand_idle_s) != 0


def test_a_closed_load_cannot_show_a_lack_of_demand():
    part = next(s for s in bill_of(make(chat(10))).slices if s.id is SliceId.DEMAND_IDLE)
    assert part.gpu_s is None
    assert "without pause" in part.why
    assert part.inside is SliceId.UNEXPLAINED


def test_equal_requests_pad_nothing():
    requests = [Request(prompt_tokens=50, output_tokens=20)] * 16
    part = next(s for s in bill_of(make(requests)).slices if s.id is SliceId.PADDING)
    assert part.gpu_s == 0
    assert "equally long" in part.why


@pytest.mark.parametrize("concurrency", [8, None])
def test_taking_padding_out_first_is_what_continuous_batching_saves(concurrency):
    """Where requests queue: all clients are there from the start."""
    scenario = make(chat(64, prefix_tokens=0), concurrency=concurrency)
    static = simulate(scenario).busy_s
    free = replace(scenario.knobs, batching=Batching.CONTINUOUS)
    saved = static - simulate(replace(scenario, knobs=free)).busy_s
    part = next(s for s in bill_of(scenario).slices if s.id is SliceId.PADDING)
    assert part.band_gpu_s.low < saved <= part.band_gpu_s.high * (1 + 1e-12)
    assert part.gpu_s > 0.2 * static


def test_without_a_price_the_device_seconds_stand_alone():
    scenario = make(chat(10), prices=Prices(usd_per_device_h=None))
    bill = bill_of(scenario)
    assert bill.usd_per_gpu_h is bill.usd_per_1m_tokens is bill.usd_per_1m_input is None
    assert bill.usd_per_1m_output is None
    assert bill.gpu_s_per_1m_tokens > 0
    assert usd_per_1m(scenario) is None
    assert device_s_per_1m(scenario) > 0


def test_the_reserved_rate_is_paid_for_idle_too():
    prices = Prices(usd_per_device_h=2.0, reserved_usd_per_device_h=1.0)
    scenario = make(chat(10), concurrency=None, window_s=100.0, prices=prices, devices=2)
    reserved = replace(scenario, prices=replace(prices, reserved=True))
    outcome = simulate(scenario)
    tokens = outcome.prompt_tokens + outcome.output_tokens
    busy = outcome.window_s - outcome.demand_idle_s
    assert usd_per_1m(scenario) == pytest.approx(2 * busy * 2.0 / 3600 * 1e6 / tokens)
    assert usd_per_1m(reserved) == pytest.approx(2 * 100.0 * 1.0 / 3600 * 1e6 / tokens)
    assert usd_per_1m(reserved, outcome) == usd_per_1m(reserved)
    assert bill_of(reserved).usd_per_gpu_h == 1.0
    unknown = replace(prices, reserved=True, reserved_usd_per_device_h=None)
    assert usd_per_1m(replace(scenario, prices=unknown)) is None


def test_a_window_without_tokens_has_no_unit_price():
    scenario = make([], concurrency=None, window_s=1.0)
    with pytest.raises(InconclusiveError, match="no tokens were served"):
        bill_of(scenario)


def test_sources_can_be_those_observed():
    mask = "attention mask of 12 batches"
    bill = bill_of(make(chat(10)), sources={SliceId.PADDING: mask})
    assert next(s for s in bill.slices if s.id is SliceId.PADDING).source == mask


def test_a_bill_of_two_hundred_requests_takes_no_second():
    scenario = make(chat(200))
    outcome = simulate(scenario)
    started = time.process_time()
    build_bill(scenario, outcome, paid_device_s=outcome.window_s)
    assert time.process_time() - started < 1.0  # about 0.2 s

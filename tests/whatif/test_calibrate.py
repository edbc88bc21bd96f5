"""A made-up server whose terms are known: its loads must bring them back, what-ifs included."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from costaudit.target.load import decode_load, prefill_load
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.calibrate import calibrate
from costaudit.whatif.fit import StepPoint
from costaudit.whatif.free_fit import STAND_IN_PEAKS, STAND_IN_SHAPE
from costaudit.whatif.load_errors import USUAL
from costaudit.whatif.predict import figures, predict
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.seen_load import SeenLoad, log_errors, told_of
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import StepTime

KNOBS = Knobs(
    batching=Batching.CONTINUOUS,
    max_num_seqs=16,
    kv_layout=KvLayout.PAGED,
    kv_budget_tokens=32_768,
    max_num_batched_tokens=2048,
    prefix_caching=True,
)
TRUE = StepTime(
    shape=STAND_IN_SHAPE,
    peaks=STAND_IN_PEAKS,
    param_bytes=2.0,
    kv_element_bytes=2.0,
    coefficients={
        "overhead": 6e-3,
        "sequences": 2e-4,
        "kv": 0.5,
        "prefill_compute": 0.5,
        "prefill_attention": 2.0,
        "prompts": 3e-3,
        "together": 2e-3,
        "front": 1.5e-3,
        "request": 2e-3,
    },
    free=True,
)
# What probes of single steps tell: nothing of the front end, nor of what enters with a prompt.
FITTED = replace(
    TRUE,
    coefficients={
        "overhead": 7e-3,
        "sequences": 1e-4,
        "kv": 0.6,
        "prefill_compute": 0.6,
        "prefill_attention": 1.0,
        "request": 5e-3,
    },
)


def requests(count, *, prompt, output):
    rng = random.Random(count)
    return tuple(
        Request(prompt_tokens=rng.randint(*prompt), output_tokens=rng.randint(*output))
        for _ in range(count)
    )


def load(name, concurrency, sent, *, model=TRUE):
    """What the model's server would have been seen to do."""
    blank = SeenLoad(
        name=name,
        traffic=Traffic(source=name, requests=sent, concurrency=concurrency),
        first=0,
        end=len(sent),
        e2e_s=(),
        ttft_p50_s=1.0,
        itl_p50_s=1.0,
    )
    told = told_of(model, blank, KNOBS)
    return replace(blank, e2e_s=told.e2e_s, ttft_p50_s=told.ttft_p50_s, itl_p50_s=told.itl_p50_s)


@pytest.fixture(scope="module")
def loads():
    bursts = [load(f"b{c}", c, requests(c, prompt=(p, p), output=(24, 24))) for c, p in BURSTS]
    rungs = [
        load(f"r{c}", c, requests(6 * c, prompt=(16, 300), output=(4, 40))) for c in (1, 4, 12)
    ]
    return [*bursts, *rungs]


BURSTS = ((1, 32), (1, 900), (4, 200), (8, 64), (16, 400))


def points():
    steps = [prefill_load(new_tokens=n, cached_tokens=0) for n in (16, 256, 1024)]
    steps += [decode_load(seqs=s, context_tokens=c) for s, c in ((1, 64), (4, 200), (16, 400))]
    found = []
    for step in steps:
        asked = int(step.prefill_seqs > 0)
        seconds = TRUE.seconds(step) + asked * (TRUE.request_s + TRUE.front_s)
        found.append(StepPoint(load=step, seconds=seconds, requests=asked))
    return found


@pytest.fixture(scope="module")
def calibrated(loads):
    return calibrate(FITTED, points(), loads, KNOBS)


def test_the_loads_last_as_long_as_they_did(calibrated, loads):
    off = max(abs(log_errors(told_of(FITTED, one, KNOBS), one)[0]) for one in loads)
    assert off > 0.05  # there is something to be put right
    for one in loads:
        e2e, ttft, _ = log_errors(told_of(calibrated, one, KNOBS), one)
        assert abs(e2e) < 0.02
        assert abs(ttft) < 0.05
    for kind, usual in USUAL.items():  # each load was told by the others
        assert calibrated.load_error_share[kind] < 1.1 * usual
    assert calibrated.load_error_share["e2e"] < 0.9 * USUAL["e2e"]
    assert calibrated.gap_spread == 0.0
    assert calibrated.load_span["rows"][1] > 8


def test_no_term_is_negative(calibrated):
    for terms in (calibrated.coefficients, *calibrated.draws):
        assert min(terms.values()) >= 0


def test_a_load_that_is_not_like_the_others_shows_in_the_error(loads, calibrated):
    slow = replace(loads[-1], e2e_s=tuple(1.2 * s for s in loads[-1].e2e_s))
    for told in (
        calibrate(FITTED, points(), loads, KNOBS, held_out=[slow]),
        calibrate(FITTED, points(), [*loads[:-1], slow], KNOBS),
    ):
        assert told.load_error_share["e2e"] > 1.2 * calibrated.load_error_share["e2e"]


def test_a_load_beside_a_busy_neighbour_hardly_counts(loads, calibrated):
    """Half of the loads ran beside one that took a third of the processors."""
    spoilt = [
        replace(one, e2e_s=tuple(1.3 * s for s in one.e2e_s), taken_share=0.3)
        for one in loads[: len(loads) // 2]
    ]
    told = calibrate(FITTED, points(), [*spoilt, *loads[len(loads) // 2 :]], KNOBS)
    e2e, *_ = log_errors(told_of(told, loads[-1], KNOBS), loads[-1])
    assert abs(e2e) < 0.03
    assert told.load_error_share["e2e"] < 1.3 * calibrated.load_error_share["e2e"]


def test_a_median_between_two_modes_says_nothing_of_a_step(loads):
    """Half of the gaps hold prompts: one more of them, and the median is ten times as long."""
    heavy = load("heavy", 12, requests(48, prompt=(200, 700), output=(8, 24)))
    gaps = told_of(TRUE, heavy, KNOBS).gaps
    seen_s = {share: gaps.quantile_s(share) for share in (0.2, 0.5, 0.8)}
    assert seen_s[0.8] > 4 * seen_s[0.2]
    for median_s in (1.2 * seen_s[0.2], 0.9 * seen_s[0.8]):
        seen = replace(heavy, itl_p50_s=median_s, gaps_s={**seen_s, 0.5: median_s}, wall_s=20.0)
        told = calibrate(FITTED, points(), [*loads, seen], KNOBS)
        for step in (
            decode_load(seqs=4, context_tokens=200),
            decode_load(seqs=16, context_tokens=400),
        ):
            assert told.seconds(step) == pytest.approx(TRUE.seconds(step), rel=0.1)


@pytest.mark.parametrize("seats", [1, 4, 64])
def test_a_change_comes_out_as_it_would(calibrated, seats):
    traffic = Traffic(
        source="changed", requests=requests(96, prompt=(16, 300), output=(4, 40)), concurrency=24
    )
    knobs = replace(KNOBS, max_num_seqs=seats)

    def situation(model):
        return Scenario(
            shape=model.shape,
            step_time=model,
            knobs=knobs,
            traffic=replace(traffic, think_s=model.request_s),
            prices=Prices(usd_per_device_h=2.0),
        )

    true = figures(simulate(situation(TRUE)), situation(TRUE))
    told = predict(situation(calibrated))
    assert told["tokens_per_s"].value == pytest.approx(true["tokens_per_s"], rel=0.04)
    for name, value in true.items():
        assert told[name].holds(value), name
        assert told[name].low < told[name].value < told[name].high


def test_without_loads_the_fit_stands():
    assert calibrate(FITTED, points(), [], KNOBS) is FITTED


def test_loads_that_the_knobs_could_not_serve_are_left_out(loads):
    assert calibrate(FITTED, points(), loads, replace(KNOBS, kv_budget_tokens=32)) is FITTED


def test_dollars_are_the_rate_s_other_side(calibrated, loads):
    scenario = Scenario(
        shape=calibrated.shape,
        step_time=calibrated,
        knobs=KNOBS,
        traffic=loads[-1].traffic,
        prices=Prices(usd_per_device_h=3.6),
    )
    told = figures(simulate(scenario), scenario)
    assert told["usd_per_1m"] * told["tokens_per_s"] == pytest.approx(1e3)

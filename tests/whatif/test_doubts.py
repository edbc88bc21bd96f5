"""What widens an interval, and what does not."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.doubts import BEYOND, Z90, at_speeds, doubts_of, error_share
from costaudit.whatif.free_fit import STAND_IN_PEAKS, STAND_IN_SHAPE
from costaudit.whatif.load_errors import USUAL, pooled_errors
from costaudit.whatif.predict import predict
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario
from costaudit.whatif.simulate import simulate
from costaudit.whatif.steptime import StepTime

MODEL = StepTime(
    shape=STAND_IN_SHAPE,
    peaks=STAND_IN_PEAKS,
    param_bytes=2.0,
    kv_element_bytes=2.0,
    coefficients={"overhead": 8e-3, "sequences": 2e-4, "prefill_compute": 0.5, "request": 2e-3},
    free=True,
)


def scenario(*, model=MODEL, count=200, concurrency=8, arrivals_per_s=0.0):
    rng, at_s, sent = random.Random(3), 0.0, []
    for _ in range(count):
        at_s += rng.expovariate(arrivals_per_s) if arrivals_per_s else 0.0
        sent.append(
            Request(
                prompt_tokens=rng.randint(16, 200), output_tokens=rng.randint(8, 40), arrival_s=at_s
            )
        )
    return Scenario(
        shape=model.shape,
        step_time=model,
        knobs=Knobs(
            batching=Batching.CONTINUOUS,
            max_num_seqs=16,
            kv_layout=KvLayout.PAGED,
            kv_budget_tokens=32_768,
        ),
        traffic=Traffic(
            source="made up",
            requests=tuple(sent),
            concurrency=None if arrivals_per_s else concurrency,
        ),
        prices=Prices(usd_per_device_h=1.0),
    )


def width(told):
    return math.log(told.high / told.low)


def test_a_brief_measurement_is_told_less_surely():
    long, brief = (predict(scenario(count=n))["tokens_per_s"] for n in (400, 12))
    assert width(brief) > 1.2 * width(long)


def test_what_arrivals_decide_is_known_whatever_the_machine_does():
    free, bound = scenario(arrivals_per_s=4.0), scenario(concurrency=8)
    assert width(predict(free)["tokens_per_s"]) < 0.3 * width(predict(bound)["tokens_per_s"])


def test_a_queue_near_saturation_is_told_less_surely_than_one_far_from_it():
    calm, near = (predict(scenario(arrivals_per_s=r, count=400)) for r in (2.0, 36.0))
    assert width(near["ttft_p50_s"]) > 1.5 * width(calm["ttft_p50_s"])


def test_the_further_from_what_was_seen_the_wider():
    seen = replace(MODEL, load_span={"rows": (1.0, 16.0), "context_tokens": (1.0, 4000.0)})
    unseen = replace(MODEL, load_span={"rows": (1.0, 1.5), "context_tokens": (1.0, 4000.0)})
    outcome = simulate(scenario())
    inside, outside = (doubts_of(model, outcome).speed for model in (seen, unseen))
    far = math.log(outcome.output_tokens / outcome.steps / 1.5)
    assert outside == pytest.approx(math.hypot(inside, BEYOND * far))


def test_speeds_have_the_deviation_asked_for():
    models = at_speeds([MODEL] * 24, 0.1)
    logs = [math.log(m.coefficients["overhead"] / MODEL.coefficients["overhead"]) for m in models]
    assert sum(logs) == pytest.approx(0.0, abs=1e-9)
    assert math.sqrt(sum(log * log for log in logs) / 24) == pytest.approx(0.1, rel=0.06)
    assert logs != sorted(logs)


def test_few_loads_are_pooled_with_what_is_usual():
    kinds = list(USUAL)
    assert pooled_errors([[0.0] * 3], [1.0]) == pytest.approx(USUAL)
    exact = pooled_errors([[1e-9] * 3] * 12, [1.0] * 12)
    rough = pooled_errors([[2 * USUAL[k] for k in kinds]] * 12, [1.0] * 12)
    wild = pooled_errors([[9.0] * 3] * 12, [1.0] * 12)
    for kind in kinds:
        assert exact[kind] == pytest.approx(USUAL[kind] / 2, rel=0.01)
        assert USUAL[kind] < rough[kind] < 2 * USUAL[kind] < wild[kind] < 3 * USUAL[kind]


def test_a_load_that_lacks_a_figure_says_nothing_of_it():
    found = pooled_errors([[0.01, 0.2, 0.0]], [1.0])
    assert found["itl"] == pytest.approx(USUAL["itl"])
    assert found["ttft"] > USUAL["ttft"] > found["e2e"] / 2


def test_the_larger_error_of_probes_and_loads_widens_a_saving():
    probed = replace(MODEL, error_p50_share=0.01, error_p90_share=0.04)
    loaded = replace(probed, load_error_share={"e2e": 0.06, "ttft": 0.01})
    assert error_share(MODEL) == 0.0
    assert error_share(probed) == 0.04
    assert error_share(loaded) == pytest.approx(Z90 * 0.06)
    assert error_share(loaded, "ttft") == 0.04

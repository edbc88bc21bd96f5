import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_times import DENSE, LATENT, fitted, loads, probes, step_times, truth

from costaudit.ground.errors import InconclusiveError
from costaudit.target.load import StepLoad, decode_load, prefill_load
from costaudit.whatif.fit import StepPoint
from costaudit.whatif.form import COLUMN_TERM, COLUMNS, Hosted, columns
from costaudit.whatif.steptime import TERMS, Peaks


@given(step_times(), loads)
@settings(max_examples=60, deadline=None)
def test_terms_sum_to_the_step_and_are_never_negative(model, load):
    terms = model.terms_s(load)
    assert tuple(terms) == TERMS
    assert min(terms.values()) >= 0
    assert math.isclose(sum(terms.values()), model.seconds(load), rel_tol=1e-12)


@given(step_times(), loads, st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_a_run_is_the_sum_of_its_steps(model, load, steps):
    summed = dict.fromkeys(TERMS, 0.0)
    for step in range(steps):
        grown = StepLoad(
            prefill_tokens=load.prefill_tokens,
            prefill_pairs=load.prefill_pairs,
            prefill_seqs=load.prefill_seqs,
            decode_seqs=load.decode_seqs,
            decode_context_tokens=load.decode_context_tokens + step * load.decode_seqs,
        )
        for term, seconds in model.terms_s(grown).items():
            summed[term] += seconds
    run = model.run_s(load, steps)
    whole = sum(summed.values())
    for term in TERMS:
        assert abs(run[term] - summed[term]) <= 1e-9 * whole, term


def test_no_steps_take_no_time():
    assert sum(truth().run_s(decode_load(seqs=2, context_tokens=9), 0).values()) == 0


@given(step_times(), loads)
@settings(max_examples=100, deadline=None)
def test_ideal_is_never_above_the_fit_without_overhead(model, load):
    as_fitted = model.without(step_overhead=True)
    light = model.ideal_s(load)
    assert tuple(light) == ("prefill", "decode_weights", "decode_kv")
    assert min(light.values()) >= 0
    if not model.ideal_kernels:
        assert sum(light.values()) <= as_fitted.seconds(load) * (1 + 1e-12)
    bare = model.without(kernel_inefficiency=True, step_overhead=True)
    assert math.isclose(bare.seconds(load), sum(light.values()), rel_tol=1e-9, abs_tol=1e-15)


@given(step_times(), loads)
@settings(max_examples=60, deadline=None)
def test_removing_a_waste_never_makes_a_step_longer(model, load):
    full = model.seconds(load)
    assert model.without(kernel_inefficiency=True).seconds(load) <= full * (1 + 1e-12)
    assert model.without(step_overhead=True).seconds(load) <= full * (1 + 1e-12)


def test_ideal_follows_the_binding_resource():
    model = truth()
    compute = model.ideal_s(prefill_load(new_tokens=1024))
    assert compute["prefill"] > 0
    assert compute["decode_weights"] == compute["decode_kv"] == 0
    alone = model.ideal_s(decode_load(seqs=1, context_tokens=64))
    values = columns(
        decode_load(seqs=1, context_tokens=64),
        Hosted(shape=DENSE, peaks=model.peaks, param_bytes=4.0, kv_element_bytes=4.0),
    )
    assert alone["decode_weights"] == pytest.approx(values["weights"])  # bandwidth binds
    assert alone["decode_kv"] == pytest.approx(values["kv"])


def test_fit_recovers_what_noiseless_probes_decide():
    model = truth()
    found = fitted(probes(model), model)
    assert found.fitted_points == 10
    assert found.held_out_points == 3
    assert found.error_p50_share < 0.01
    assert found.error_p90_share < 0.02
    assert found.coefficients["prefill_compute"] == pytest.approx(1.4, rel=0.05)
    assert found.notes == ()


def test_error_is_that_of_the_held_out_points_alone():
    model = truth()
    points = probes(model)
    off = [
        StepPoint(load=p.load, seconds=p.seconds * (1.25 if p.held_out else 1), held_out=p.held_out)
        for p in points
    ]
    assert fitted(off, model).error_p50_share == pytest.approx(0.2, abs=0.01)
    without = fitted([p for p in points if not p.held_out], model)
    assert without.error_p50_share is None
    assert without.held_out_points == 0


def test_draws_are_non_negative_seeded_and_wider_with_noise():
    model = truth()
    noisy = [1.08, 0.93, 1.05, 0.95, 1.07, 0.94, 1.06, 0.92, 1.05, 0.96]
    calm, shaken = fitted(probes(model), model), fitted(probes(model, noisy), model)
    load = decode_load(seqs=8, context_tokens=512)

    def width(found):
        seconds = sorted(draw.seconds(load) for draw in found.drawn())
        return seconds[-2] - seconds[1]

    assert len(shaken.drawn()) == 24
    assert all(value >= 0 for draw in shaken.draws for value in draw.values())
    assert width(shaken) > 2 * width(calm) > 0
    assert fitted(probes(model, noisy), model) == shaken
    assert not shaken.drawn()[0].draws


def test_a_fit_without_prefill_says_that_prefill_is_not_measured():
    model = truth()
    found = fitted([p for p in probes(model) if p.load.decode_seqs], model)
    assert any("prefill_compute" in note for note in found.notes)
    assert found.coefficients["prefill_compute"] == pytest.approx(1.54)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_unusable_points_do_not_count(seconds):
    model = truth()
    broken = [StepPoint(load=p.load, seconds=seconds) for p in probes(model)[1:]]
    with pytest.raises(InconclusiveError, match="there are 1"):
        fitted([probes(model)[0], *broken], model)


def test_precision_scales_bytes_flops_and_their_cost():
    model = truth()
    load = decode_load(seqs=4, context_tokens=512)
    before, after = (
        m.terms_s(load)
        for m in (
            model,
            model.with_precision(
                param_bytes=1.0,
                kv_element_bytes=2.0,
                flops_factor=2.0,
                weights_cost_factor=1.2,
                kv_cost_factor=1.1,
            ),
        )
    )
    assert after["weights"] == pytest.approx(before["weights"] / 4 * 1.2)
    assert after["kv"] == pytest.approx(before["kv"] / 2 * 1.1)
    assert after["decode_compute"] == pytest.approx(before["decode_compute"] / 2)
    assert after["overhead"] == before["overhead"]


def test_precision_and_removed_overhead_reach_the_draws():
    model = truth()
    found = fitted(probes(model), model).without(step_overhead=True)
    assert all(draw["overhead"] == 0 for draw in found.draws)
    dearer = found.with_precision(weights_cost_factor=2.0)
    for before, after in zip(found.draws, dearer.draws, strict=True):
        assert after["weights"] == 2 * before["weights"]


def test_every_column_belongs_to_a_term():
    assert set(COLUMN_TERM.values()) == set(TERMS)
    hosted = Hosted(
        shape=LATENT,
        peaks=Peaks(flops_per_s=1e12, bandwidth_bytes_per_s=1e11, link_bytes_per_s=1e10, devices=4),
        param_bytes=2.0,
        kv_element_bytes=2.0,
    )
    load = StepLoad(
        prefill_tokens=9, prefill_pairs=45, prefill_seqs=1, decode_seqs=2, decode_context_tokens=20
    )
    values = columns(load, hosted)
    assert set(values) == set(COLUMNS)
    assert min(values.values()) > 0


def test_more_devices_than_kv_heads_read_copies():
    def kv_s(shape, devices):
        peaks = Peaks(flops_per_s=1e12, bandwidth_bytes_per_s=1e11, devices=devices)
        hosted = Hosted(shape=shape, peaks=peaks, param_bytes=2.0, kv_element_bytes=2.0)
        return columns(decode_load(seqs=2, context_tokens=20), hosted)["kv"]

    assert kv_s(DENSE, 4) == kv_s(DENSE, 1)
    assert kv_s(DENSE, 8) == 2 * kv_s(DENSE, 1)
    assert kv_s(LATENT, 8) == 8 * kv_s(LATENT, 1)


def test_one_device_has_no_link_to_price():
    model = truth()
    found = fitted(probes(model), model)
    assert not {"link", "link_latency"} & set(found.coefficients)
    assert found.terms_s(decode_load(seqs=2, context_tokens=64))["link"] == 0

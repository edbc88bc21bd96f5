"""The compiled scheduler, and when it is worth having."""

from __future__ import annotations

import types
from collections import Counter
from dataclasses import replace

import pytest
from drawn_scenarios import scenarios
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.traffic.traffic import Request
from costaudit.whatif import serving
from costaudit.whatif.scenario import Batching, Router
from costaudit.whatif.schedule import nobody_in_records
from costaudit.whatif.scheduler import compiled
from costaudit.whatif.simulate import Relief, simulate


def compile_from(monkeypatch, requests):
    monkeypatch.setattr(serving, "INTERPRETED_BEFORE_COMPILING", requests)
    monkeypatch.setattr(serving, "INTERPRETED_REQUESTS", requests)
    monkeypatch.setattr(compiled, "loaded", lambda: requests < 0)


def by_both(ask):
    with pytest.MonkeyPatch.context() as patch:
        compile_from(patch, -1)
        compiled_answer = ask()
        compile_from(patch, 10**12)
        return compiled_answer, ask()


reliefs = st.builds(Relief, duplicate_prefill=..., preemption=...)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(scenarios(), st.sampled_from(Batching), reliefs)
def test_compiled_code_says_the_same_to_the_last_bit(drawn, batching, relief):
    scenario = replace(drawn, knobs=replace(drawn.knobs, batching=batching))
    one, other = by_both(lambda: simulate(scenario, relief))
    assert one == other


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(scenarios(), st.sampled_from(Batching), st.booleans())
def test_and_logs_the_same_steps(drawn, batching, free_resume):
    scenario = replace(drawn, knobs=replace(drawn.knobs, batching=batching, speculation=None))
    one, other = by_both(lambda: list(serving.steps_taken(scenario, free_resume=free_resume)))
    assert one == other
    assert one


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(scenarios(), st.integers(2, 3))
def test_so_do_replicas_that_advance_from_arrival_to_arrival(drawn, replicas):
    traffic = replace(drawn.traffic, concurrency=None)
    scenario = replace(drawn, traffic=traffic, replicas=replicas, router=Router.LEAST_LOAD)
    one, other = by_both(lambda: simulate(scenario))
    assert one == other


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(scenarios(), st.sampled_from(Batching))
def test_what_is_compiled_ahead_is_for_all_that_is_simulated(drawn, batching):
    compiled.compile_for(nobody_in_records())
    ahead = [set(function.overloads) for function in compiled.entry()]
    by_both(lambda: simulate(replace(drawn, knobs=replace(drawn.knobs, batching=batching))))
    assert [set(function.overloads) for function in compiled.entry()] == ahead
    assert all(len(kinds) == 1 for kinds in ahead)


def test_every_function_has_a_name_of_its_own():
    """The compiled copies share one namespace."""
    names = Counter(
        name
        for module in compiled.MODULES
        for name, function in vars(module).items()
        if isinstance(function, types.FunctionType) and function.__module__ == module.__name__
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_small_windows_are_interpreted_until_compiling_pays(monkeypatch):
    monkeypatch.setattr(serving, "_interpreted", 0)
    monkeypatch.setattr(compiled, "available", lambda: True)
    monkeypatch.setattr(compiled, "kept", lambda: False)
    compile_from(monkeypatch, 100)
    monkeypatch.setattr(serving, "INTERPRETED_REQUESTS", 50)
    assert [serving.use_compiled(40) for _ in range(3)] == [False, False, True]
    assert serving.use_compiled(61)  # a large one at once
    monkeypatch.setattr(compiled, "kept", lambda: True)
    assert serving.use_compiled(1)  # it only needs to be loaded
    monkeypatch.setattr(serving, "_interpreted", 0)
    assert not serving.use_compiled(1)  # which one request is not worth
    monkeypatch.setattr(compiled, "loaded", lambda: True)
    assert serving.use_compiled(1)
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert not serving.use_compiled(10**9)


def test_without_a_compiler_all_is_interpreted(monkeypatch):
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    compile_from(monkeypatch, -1)
    from drawn_scenarios import SHAPE, STEP_TIME

    from costaudit.traffic.traffic import Traffic
    from costaudit.whatif.scenario import Knobs, KvLayout, Prices, Scenario

    scenario = Scenario(
        shape=SHAPE,
        step_time=STEP_TIME,
        knobs=Knobs(
            batching=Batching.CONTINUOUS,
            max_num_seqs=2,
            kv_layout=KvLayout.PAGED,
            kv_budget_tokens=100,
        ),
        traffic=Traffic(source="made", requests=(Request(prompt_tokens=5, output_tokens=3),)),
        prices=Prices(usd_per_device_h=None),
    )
    assert simulate(scenario).output_tokens == 3

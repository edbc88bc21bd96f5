"""States over many speeds, lengths and loads, on a made vLLM: the cause and no other."""

from __future__ import annotations

import random

import pytest
from made_vllm import Engine, Traffic, made_window

from costaudit.diagnosis.diagnose import diagnose
from costaudit.diagnosis.diagnosis import State

SEEDS = range(4)


def named(found):
    return [one.id for one in found.findings] or [found.state.value]


def speed(rng):
    return {
        "step_s": rng.choice((0.02, 0.05)),
        "prefill_s": rng.choice((1e-5, 5e-5, 2e-4)),
        "decode_s": rng.choice((1e-5, 2e-4, 1e-3)),
        "noise": rng.choice((0.02, 0.1, 0.3)),
        "hiccup_s": rng.choice((0, 0.2, 0.6)),
    }


def lengths(rng, low, high, spread=2.5):
    least = rng.randint(low, high)
    return least, int(least * rng.uniform(1.0, spread))


def healthy(rng):
    engine = Engine(max_num_seqs=rng.choice((32, 256)), budget=8192, **speed(rng))
    yield engine
    yield Traffic(
        clients=rng.randint(5, 16),
        prompt=lengths(rng, 20, 300),
        output=lengths(rng, 30, 200),
        think_s=rng.choice((0, 0.2)),
    )


def capped(rng):
    cap = rng.choice((1, 2, 4, 8))
    yield Engine(max_num_seqs=cap, **speed(rng))
    clients = cap * rng.randint(2, 6)
    yield Traffic(clients=clients, prompt=lengths(rng, 20, 300), output=lengths(rng, 30, 200))


def starved(rng):
    prompt, output, room = lengths(rng, 20, 200), lengths(rng, 150, 400), rng.choice((2000, 4000))
    longest = prompt[1] + output[1]
    yield Engine(kv_tokens=max(room, 2 * longest), **speed(rng))
    yield Traffic(clients=6 + 4 * room // longest, prompt=prompt, output=output)


def unchunked(rng):
    yield Engine(chunked=False, **{**speed(rng), "prefill_s": rng.choice((1e-4, 3e-4))})
    yield Traffic(clients=rng.randint(5, 12), prompt=(20, 150), output=lengths(rng, 80, 250))
    yield Traffic(clients=2, prompt=(1200, 1700), output=(2, 8), think_s=rng.uniform(0.2, 1.5))


def held_whole(rng):
    """The same where prompts are cut, but a budget holds each of them whole."""
    _, *traffic = unchunked(rng)
    yield Engine(budget=rng.choice((2048, 8192)), **{**speed(rng), "prefill_s": 2e-4})
    yield from traffic


def cut_small(rng):
    """The load of `unchunked`, its long prompts cut into many steps."""
    _, *traffic = unchunked(rng)
    yield Engine(budget=rng.choice((128, 256)), **{**speed(rng), "prefill_s": 1e-4})
    yield from traffic


def caching_off(rng):
    yield Engine(caching=False, **speed(rng))
    yield Traffic(
        clients=rng.randint(3, 12),
        prompt=lengths(rng, 10, 100),
        output=lengths(rng, 8, 40),
        shared=rng.choice((800, 1200, 3000)),
    )


def one_client(rng):
    yield Engine(**speed(rng))
    yield Traffic(clients=1, prompt=lengths(rng, 20, 300), output=lengths(rng, 30, 200))


CASES = {
    healthy: "healthy",
    capped: "batch-cap",
    starved: "kv-preemption",
    unchunked: "prefill-stalls",
    held_whole: "prefill-stalls",
    cut_small: "healthy",
    caching_off: "prefix-caching-off",
    one_client: "client-limited",
}


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False], ids=["settings told", "not told"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("state", CASES, ids=lambda state: state.__name__)
def test_the_cause_and_no_other(state, seed, told):
    engine, *traffic = state(random.Random(seed))
    found = diagnose(made_window(engine, *traffic, seed=seed, told=told))
    assert named(found) == [CASES[state]], (engine, traffic)


LONG = {"prompt": (1200, 1260), "output": (8, 16)}


@pytest.mark.slow
def test_prompts_of_one_length_with_caching_off_are_called_shared_by_nothing():
    window = made_window(Engine(caching=False), Traffic(clients=6, **LONG))
    found = diagnose(window)
    assert found.state is State.SUSPECT
    (only,) = found.findings
    assert (only.id, only.confidence.value) == ("prefix-caching-off", "possible")
    assert "find out" in only.advice


@pytest.mark.slow
def test_three_clients_of_a_healthy_server_are_no_fault():
    window = made_window(Engine(), Traffic(clients=3, prompt=(40, 160), output=(40, 120)))
    assert diagnose(window).state is State.HEALTHY


@pytest.mark.slow
def test_two_uncut_prompts_in_the_window_are_enough_where_it_says_that_it_cuts_none():
    chat = Traffic(clients=8, prompt=(40, 160), output=(150, 250))
    rare = Traffic(clients=1, prompt=(1800, 1900), output=(2, 4), think_s=12)
    engine = Engine(chunked=False, prefill_s=1e-3)
    assert named(diagnose(made_window(engine, chat, rare))) == ["prefill-stalls"]

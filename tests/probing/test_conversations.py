"""Multi-turn workloads: each turn carries all before it, and none is sent before its answer."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.errors import UsageError
from costaudit.probe.draw import context_scale, draw
from costaudit.probe.workload import load_workload
from costaudit.record.probing.workload_shots import Turns

FILE = """
name = "talk"
stands_for = "Conversations."
why = "A test."
requests = 24
[slo]
why = "none"
[prompt_tokens]
distribution = "uniform"
min = 10
max = 50
[output_tokens]
distribution = "fixed"
tokens = 20
[sessions]
turns = 4
[load]
concurrency = 3
"""


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("talk") / "talk.toml"
    path.write_text(FILE)
    return load_workload(str(path))


def test_a_turn_carries_prompts_and_answers_before_it(talk):
    by_talk = {}
    for request in draw(talk):
        by_talk.setdefault(request.prefix_id, []).append(request)
    assert {len(turns) for turns in by_talk.values()} == {4}
    for turns in by_talk.values():
        assert turns[0].prefix_tokens == 0
        for before, after in pairwise(turns):
            assert after.prefix_tokens == before.prompt_tokens
            new = after.prompt_tokens - before.prompt_tokens - before.output_tokens
            assert 10 <= new <= 50


def test_the_longest_turn_fits_the_context(talk):
    scale = context_scale(talk, 128)
    assert 0 < scale < 1
    assert max(r.prompt_tokens + r.output_tokens for r in draw(talk, scale=scale)) <= 128


def test_prefixes_and_sessions_exclude_each_other(tmp_path):
    path = tmp_path / "both.toml"
    path.write_text(FILE + "[prefix]\nshare_tokens = 5\ngroups = 1\n")
    with pytest.raises(UsageError, match="either"):
        load_workload(str(path))


class Sent:
    """What an answer is to `Turns`."""

    def __init__(self, number):
        self.number = number


@given(st.integers(0, 1000), st.integers(1, 8))
def test_no_turn_goes_before_the_answer_to_its_last(talk, seed, streams):
    drawn = draw(talk)
    turns, rng = Turns(drawn=drawn), random.Random(seed)
    numbers, running, sent = turns.numbers(), [], []
    for _ in range(120):
        if len(running) == streams:
            turns.watch(Sent(running.pop(rng.randrange(streams))))
        number = next(numbers)
        place, cycle = number % len(drawn), number // len(drawn)
        before = [
            cycle * len(drawn) + other
            for other in range(place)
            if drawn[other].prefix_id == drawn[place].prefix_id
        ]
        assert all(one in sent and one not in running for one in before)
        running.append(number)
        sent.append(number)
    assert len(set(sent)) == len(sent)

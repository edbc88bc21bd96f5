from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.record.probing.bounds import Bounds
from costaudit.record.probing.design import rounds_of, served_design

bounds = st.builds(
    Bounds,
    context_tokens=st.integers(64, 200_000),
    kv_tokens=st.one_of(st.none(), st.integers(128, 1_000_000)),
    concurrency=st.integers(1, 128),
    longest_prompt_tokens=st.integers(1, 150_000),
)


@given(bounds)
def test_every_probe_fits(allowed):
    for probe in served_design(allowed):
        assert probe.prompt_tokens >= 1
        assert probe.prompt_tokens + probe.output_tokens <= allowed.context_tokens
        assert probe.seqs <= allowed.concurrency
        if allowed.kv_tokens is not None and probe.phase == "decode":
            held = probe.seqs * (probe.prompt_tokens + probe.output_tokens)
            assert held <= max(allowed.kv_tokens // 2, held if probe.seqs == 1 else 0)


@given(bounds)
def test_no_probe_twice_and_both_phases_are_fitted(allowed):
    probes = served_design(allowed)
    assert len({probe.id for probe in probes}) == len(probes)
    assert {p.phase for p in probes if not p.held_out} >= {"prefill"}


def test_a_usual_server_has_probes_that_judge():
    probes = served_design(
        Bounds(context_tokens=8192, kv_tokens=100_000, concurrency=32, longest_prompt_tokens=4096)
    )
    fitted = [p for p in probes if not p.held_out]
    held = [p for p in probes if p.held_out]
    assert len(fitted) >= 8
    assert {p.phase for p in held} == {"prefill", "decode"}
    assert not {p.id for p in fitted} & {p.id for p in held}


def test_rounds_run_every_probe_once_each():
    probes = served_design(
        Bounds(context_tokens=2048, kv_tokens=None, concurrency=8, longest_prompt_tokens=512)
    )
    order = list(range(len(probes)))
    tasks = rounds_of(probes, [order, order[::-1]])
    assert len({task.id for task in tasks}) == len(tasks)
    for number, wanted in enumerate((probes, probes[::-1])):
        own = [task.spec["probe"] for task in tasks if task.spec["round"] == number]
        assert list(dict.fromkeys(own)) == [p.id for p in wanted]
        assert all(own.count(p.id) == (3 if p.phase == "prefill" else 1) for p in probes)


def test_repeats_of_a_prompt_are_spread_over_the_round():
    """A shared host is slow for seconds on end: not all repeats may fall into them."""
    probes = served_design(
        Bounds(context_tokens=2048, kv_tokens=None, concurrency=8, longest_prompt_tokens=512)
    )
    names = [t.spec["probe"] for t in rounds_of(probes, [list(range(len(probes)))])]
    places = [n for n, name in enumerate(names) if name == probes[0].id]
    assert [b - a for a, b in pairwise(places)] == pytest.approx([len(names) / 3] * 2, abs=3)

from __future__ import annotations

import math
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.errors import UsageError
from costaudit.probe.draw import context_scale, declared_lengths, draw
from costaudit.probe.lengths import Distribution, Lengths
from costaudit.probe.workload import list_workloads, load_workload

NAMES = {
    *("chat", "rag", "short-query", "agent", "code", "reasoning"),
    *("offline", "long-context", "batch-of-eight"),
}
GOOD = """
    name = "mine"
    stands_for = "a test"
    why = "declared"
    requests = 10
    [slo]
    ttft_s = 1
    why = "declared"
    [prompt_tokens]
    distribution = "lognormal"
    p50 = 100
    mean = 130
    min = 10
    max = 1000
    [output_tokens]
    distribution = "uniform"
    min = 2
    max = 8
    [load]
    concurrency = 4
"""


def written(tmp_path, *changes):
    text = textwrap.dedent(GOOD)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_the_shipped_workloads_are_those_promised_and_named_like_their_files():
    workloads = {w.name: w for w in list_workloads()}
    assert set(workloads) == NAMES
    assert all(load_workload(name) == workload for name, workload in workloads.items())


@pytest.mark.parametrize("workload", list_workloads(), ids=lambda w: w.name)
def test_each_explains_itself(workload):
    assert len(workload.stands_for) > 40
    assert len(workload.why) > 150
    assert len(workload.slo.why) > 40
    sources = ("declared", "Declared")
    assert any(word in workload.why for word in sources), "says what is no measurement"


def test_rag_puts_15000_tokens_in_front_of_a_short_question():
    rag = load_workload("rag")
    assert rag.prefix.share_tokens == 15_000
    assert all(15_000 < r.prompt_tokens <= 15_150 for r in draw(rag))


def test_batch_of_eight_is_eight_identical_prompts_and_long_context_is_32k():
    eight = draw(load_workload("batch-of-eight"))
    assert len(eight) == 8
    assert len({(r.prompt_tokens, r.output_tokens) for r in eight}) == 1
    assert min(r.prompt_tokens for r in draw(load_workload("long-context"))) == 32_000


def test_a_user_file_is_read(tmp_path):
    workload = load_workload(written(tmp_path))
    assert workload.slo.ttft_s == 1
    assert workload.slo.itl_s is None
    assert workload.concurrency == 4
    assert workload.seed == 0


@pytest.mark.parametrize(
    ("old", "new", "words", "hint"),
    [
        ("requests = 10", "request = 10", "unknown key 'request'", "did you mean 'requests'?"),
        ("ttft_s = 1", "ttfts = 1", "unknown key 'ttfts'", "did you mean 'ttft_s'?"),
        ('"lognormal"', '"lognormla"', "unknown distribution", "did you mean 'lognormal'?"),
        ("mean = 130", "tokens = 5", "unknown key 'tokens'", "known: "),
        ("mean = 130", "mean = 90", "mean = 90 is outside", ""),
        ("mean = 130", "", "one of mean and p95", ""),
        ("p50 = 100", "p50 = inf", "outside", ""),
        ("p50 = 100", "p50 = -3", "outside", ""),
        ("max = 8", "max = 1", "above max", ""),
        ("max = 8", "max = 8.5", "whole number", ""),
        ("min = 2", "min = 0", "outside", ""),
        ("concurrency = 4", "concurrency = 4\nrequests_per_s = 1", "either", ""),
        ("concurrency = 4", "concurrency = 0", "outside", ""),
        ("[load]\nconcurrency = 4", "", "[load] is missing", ""),
        ('stands_for = "a test"', "", "stands_for must be", ""),
        ("requests = 10", "requests = 1000001", "outside", ""),
        (
            "[load]",
            "[prefix]\nshare_tokens = 1000\ngroups = 1\n[load]",
            "longer than the longest prompt",
            "",
        ),
        ("[load]", "[prefix]\nshare = 10\ngroups = 1\n[load]", "unknown key 'share'", "share_tok"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, words, hint):
    with pytest.raises(UsageError) as caught:
        load_workload(written(tmp_path, (old, new)))
    assert words in caught.value.message
    assert hint in caught.value.hint


def test_an_unknown_name_gets_a_hint_and_a_missing_file_its_path(tmp_path):
    with pytest.raises(UsageError) as caught:
        load_workload("chatt")
    assert caught.value.hint == "did you mean 'chat'?"
    with pytest.raises(UsageError, match=r"cannot read .*gone\.toml"):
        load_workload(str(tmp_path / "gone.toml"))


lognormals = st.builds(
    lambda low, ratio, sigma, top: Lengths(
        distribution=Distribution.LOGNORMAL,
        low=low,
        high=math.ceil(low * ratio * top),
        median=low * ratio,
        sigma=sigma,
    ),
    low=st.integers(1, 500),
    ratio=st.floats(1.0, 50.0),
    sigma=st.floats(0.0, 2.0),
    top=st.floats(1.0, 50.0),
)
uniforms = st.builds(
    lambda low, more: Lengths(distribution=Distribution.UNIFORM, low=low, high=low + more),
    low=st.integers(1, 500),
    more=st.integers(0, 500),
)


@given(lengths=lognormals | uniforms, count=st.integers(1, 200))
def test_lengths_stay_in_their_bounds_and_rise_with_the_quantile(lengths, count):
    spread = lengths.spread(count)
    assert spread == sorted(spread)
    assert lengths.low <= spread[0]
    assert spread[-1] <= lengths.high


@given(lengths=lognormals)
def test_the_middle_of_a_lognormal_is_its_declared_median(lengths):
    assert lengths.quantile(0.5) == pytest.approx(lengths.median, abs=0.51)


@pytest.mark.parametrize("workload", list_workloads(), ids=lambda w: w.name)
@pytest.mark.parametrize("count", [8, 16, 64])
def test_a_handful_of_requests_keeps_the_declared_means(workload, count):
    drawn = draw(workload, requests=count)
    prompts, outputs = declared_lengths(workload)
    assert sum(r.prompt_tokens for r in drawn) / count == pytest.approx(prompts["mean"], rel=0.1)
    assert sum(r.output_tokens for r in drawn) / count == pytest.approx(outputs["mean"], rel=0.15)


@pytest.mark.parametrize("workload", list_workloads(), ids=lambda w: w.name)
@pytest.mark.parametrize("context", [64, 512, 4096, 131_072])
def test_scaled_lengths_fit_in_the_context(workload, context):
    scale = context_scale(workload, context)
    drawn = draw(workload, scale=scale)
    longest = max(r.prompt_tokens for r in drawn) + max(r.output_tokens for r in drawn)
    assert longest <= context
    assert 0 < scale <= 1
    if context == 131_072:
        assert scale == 1
    assert all(r.prefix_tokens <= r.prompt_tokens for r in drawn)


def test_draws_are_seeded_and_seeds_differ():
    chat = load_workload("chat")
    assert draw(chat) == draw(chat)
    assert draw(chat, seed=5) != draw(chat, seed=6)
    assert sorted(r.prompt_tokens for r in draw(chat, seed=5)) == sorted(
        r.prompt_tokens for r in draw(chat, seed=6)
    )


def test_fewer_requests_repeat_their_prefixes_as_often():
    rag = load_workload("rag")
    for count in (24, 12, 8):
        groups = {r.prefix_id for r in draw(rag, requests=count)}
        assert len(groups) == count // 2


def test_open_loop_arrivals_have_the_declared_rate(tmp_path):
    path = written(
        tmp_path, ("concurrency = 4", "requests_per_s = 5"), ("requests = 10", "requests = 2000")
    )
    arrivals = [r.arrival_s for r in draw(load_workload(path))]
    assert arrivals == sorted(arrivals)
    assert len(arrivals) / arrivals[-1] == pytest.approx(5, rel=0.1)

"""Prefix sharing from block hashes, against plain counting."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import REQUESTS, mooncake, since, write_lines

from costaudit.traffic import prefix
from costaudit.traffic.demand import total
from costaudit.traffic.formats.mooncake import FORMAT
from costaudit.traffic.layout import Head, Layout
from costaudit.traffic.read import read_demand
from costaudit.traffic.sample import read_traffic

COLUMNS = {"prompt_tokens": "p", "block_hashes": "h"}
# Prompts as hash chains: a path in a tree, each node's number stands for all before it.
chains = st.lists(st.integers(0, 2), max_size=6).map(
    lambda path: [hash(tuple(path[: i + 1])) for i in range(len(path))]
)


def log_of(tmp_path, prompts):
    return write_lines(tmp_path / "log.jsonl", (
        {"timestamp": 60_000 * i, "input_length": tokens, "output_length": 1, "hash_ids": blocks}
        for i, (tokens, blocks) in enumerate(prompts)
    ))  # fmt: skip


def test_only_full_blocks_are_shared_and_the_first_is_new(tmp_path):
    prompts = [(1200, [1, 2, 3]), (1200, [1, 2, 4]), (700, [1, 5]), (2048, [1, 2, 4, 6])]
    demand = read_demand(log_of(tmp_path, prompts), window_s=60)
    assert demand.cached_prompt_tokens == (0.0, 1024.0, 512.0, 1024.0)
    assert demand.prefix_share == pytest.approx(2560 / 5148)
    assert demand.prefix_shares[-1].cache_tokens == math.inf
    assert demand.prefix_shares[-1].share == pytest.approx(demand.prefix_share)


@given(st.lists(chains, min_size=1, max_size=30))
def test_an_endless_cache_misses_each_block_once(paths):
    prompts = [(16 * len(blocks) + 5, blocks) for blocks in paths]
    blocks = [block for path in paths for block in path]
    hits = prefix.hit_share(prompts, size=16, cache_tokens=math.inf)
    tokens = sum(tokens for tokens, _ in prompts)
    assert hits == pytest.approx(16 * (len(blocks) - len(set(blocks))) / tokens)


@given(st.lists(chains, min_size=1, max_size=30), st.integers(0, 40))
def test_a_larger_cache_never_serves_less(paths, room):
    prompts = [(16 * len(blocks) + 5, blocks) for blocks in paths]
    shares = [
        prefix.hit_share(prompts, size=16, cache_tokens=16.0 * blocks)
        for blocks in (0, room, 2 * room, math.inf)
    ]
    assert shares[0] == 0.0
    assert shares[-1] == max(shares)


@pytest.mark.parametrize("size", [16, 100, 512])
@pytest.mark.parametrize("partial", [True, False])
def test_the_block_is_as_long_as_the_prompts_say(size, partial):
    lengths = [37 * i + 640 for i in range(1, 60)]
    rows = tuple(
        {"p": p, "h": list(range(-(-p // size) if partial else p // size))} for p in lengths
    )
    layout = Layout(format=FORMAT, columns=COLUMNS)
    found = prefix.block_tokens(Head(columns=("p", "h"), rows=rows), layout)
    assert found == pytest.approx(size, rel=0 if size in (16, 512) else 0.1)


def test_a_replay_carries_the_hashes(tmp_path):
    traffic = read_traffic(mooncake(tmp_path))
    assert traffic.hash_block_tokens == 512
    assert [len(r.block_hashes) for r in traffic.requests] == [p // 512 for _, p, _ in REQUESTS]
    assert traffic.requests[-1].block_hashes[0] == traffic.requests[-2].block_hashes[0]


def test_a_long_log_is_replayed_where_it_is_most_like_itself(tmp_path):
    """Ten times the rate and length in the first tenth of the time, plain after it."""
    rows = [{"ts_ms": since(REQUESTS[0][0]) + 1_714_986_000_000 + 300 * i, "prompt_tokens": 5000,
             "completion_tokens": 50} for i in range(1200)]  # fmt: skip
    rows += [{"ts_ms": 1_714_986_000_000 + 400_000 + 3000 * i, "prompt_tokens": 500 + i % 10,
              "completion_tokens": 5} for i in range(2400)]  # fmt: skip
    path = write_lines(tmp_path / "log.jsonl", rows)
    traffic = read_traffic(path, limit=300)
    assert len(traffic.requests) == 300
    assert max(r.prompt_tokens for r in traffic.requests) < 600
    assert traffic.window_s == pytest.approx(299 * 3, rel=0.1)
    assert total(read_demand(path).requests) == 3600

"""Which blocks of their prompts requests share."""

from __future__ import annotations

from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.sharing import columns_of


def nodes_of(traffic, block_tokens):
    """Of each request: the nodes of its shareable blocks."""
    c = columns_of(traffic, block_tokens)
    return [
        [int(c.starts[first + block // c.span]) + block % c.span for block in range(blocks)]
        for first, blocks in zip(c.first_start, c.shareable_blocks, strict=True)
    ]


def hashed(*hashes, prompt=100, grain=8):
    requests = tuple(
        Request(prompt_tokens=prompt, output_tokens=1, block_hashes=ids) for ids in hashes
    )
    return Traffic(source="made", requests=requests, hash_block_tokens=grain)


def test_a_named_prefix_is_shared_in_full_blocks_short_of_the_last_token():
    requests = (
        Request(prompt_tokens=20, output_tokens=1, prefix_id=7, prefix_tokens=11),
        Request(prompt_tokens=8, output_tokens=1, prefix_id=7, prefix_tokens=11),
        Request(prompt_tokens=20, output_tokens=1, prefix_id=9, prefix_tokens=11),
        Request(prompt_tokens=20, output_tokens=1),
    )
    traffic = Traffic(source="made", requests=requests)
    assert nodes_of(traffic, 4) == [[0, 1], [0], [], []]  # nobody else has prefix 9


def test_hashes_are_shared_as_far_as_two_requests_agree():
    traffic = hashed((1, 2, 3), (1, 2, 4), (1, 5), (6,))
    a, b, c, d = nodes_of(traffic, 8)
    assert a == b
    assert len(a) == 2
    assert c == a[:1]
    assert d == []


def test_a_hash_of_many_blocks_and_a_block_of_many_hashes():
    traffic = hashed((1, 2), (1, 2), (1, 3))
    a, b, c = nodes_of(traffic, 4)  # two blocks per hash
    assert a == b
    assert len(a) == len(set(a)) == 4
    assert c == a[:2]
    a, b, c = nodes_of(traffic, 16)  # two hashes per block: the second one stands for it
    assert a == b
    assert (len(a), len(c)) == (1, 0)
    a, b, c = nodes_of(traffic, 5)  # blocks of 5 within hashes of 8: ends in 8, 8, 16
    assert a == b
    assert (len(a), len(c)) == (3, 1)
    assert c == a[:1]


def test_the_last_token_of_a_prompt_is_never_shared():
    assert [len(nodes) for nodes in nodes_of(hashed((1, 2), (1, 2), prompt=16), 8)] == [1, 1]


def test_equal_traffic_is_looked_at_once():
    traffic = hashed((1, 2), (1, 2))
    assert columns_of(traffic, 8) is columns_of(traffic, 8)
    assert columns_of(traffic, 8) is not columns_of(traffic, 4)

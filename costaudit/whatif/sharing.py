"""Requests as columns of numbers, and which blocks of their prompts they share.

A block that only one request has can be found again by nobody else, so only the leading blocks
that at least two requests have in common become nodes of the prefix cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.traffic.traffic import Request, Traffic

SHARED_BY = 2  # requests, at least
REMEMBERED = 4  # traffics and block sizes; a plan asks for the same ones hundreds of times


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """One entry per request, in arrays; `starts` and `nodes` as the scheduler's state has them.

    `longest_tokens` is what the longest request has cached at its end: its last output token is
    never fed back. `shortest_tokens` is the shortest prompt; both None without requests.
    """

    arrival_s: Any
    prompt_tokens: Any
    output_tokens: Any
    shareable_blocks: Any
    first_start: Any
    batch: Any
    starts: Any
    span: int
    nodes: int
    longest_tokens: int | None
    shortest_tokens: int | None


_recent: list[tuple[object, int, Columns]] = []


def columns_of(traffic: Traffic, block_tokens: int) -> Columns:
    """The requests of a traffic for this size of blocks."""
    requests = traffic.requests
    for known, size, columns in _recent:
        if known is requests and size == block_tokens:
            return columns
    columns = _columns(traffic, block_tokens)
    _recent.append((requests, block_tokens, columns))
    del _recent[:-REMEMBERED]
    return columns


def _columns(traffic: Traffic, block_tokens: int) -> Columns:
    import numpy as np

    requests, count = traffic.requests, len(traffic.requests)
    prompts = np.fromiter(map(attrgetter("prompt_tokens"), requests), np.int64, count)
    if any(r.block_hashes for r in requests):
        blocks, first, starts, span, nodes = _hashed(traffic, prompts, block_tokens)
    else:
        blocks, first, starts, span, nodes = _grouped(requests, prompts, block_tokens)
    outputs = np.fromiter(map(attrgetter("output_tokens"), requests), np.int64, count)
    finals = prompts + np.maximum(outputs, 1) - 1
    return Columns(
        arrival_s=np.fromiter(map(attrgetter("arrival_s"), requests), np.float64, count),
        prompt_tokens=prompts,
        output_tokens=outputs,
        shareable_blocks=blocks,
        first_start=first,
        batch=np.fromiter((-1 if r.batch is None else r.batch for r in requests), np.int64, count),
        starts=starts,
        span=span,
        nodes=nodes,
        longest_tokens=int(finals.max()) if count else None,
        shortest_tokens=int(prompts.min()) if count else None,
    )


_Shared = tuple[Any, Any, Any, int, int]


def _grouped(requests: Sequence[Request], prompts: Any, block_tokens: int) -> _Shared:
    """Shared prefixes by their id: the nodes of one follow each other."""
    import numpy as np

    count = len(requests)
    places: dict[int, int] = {}
    group = np.fromiter(
        (
            -1 if r.prefix_id is None else places.setdefault(r.prefix_id, len(places))
            for r in requests
        ),
        np.int64,
        count,
    )
    if not places:
        return np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(1, np.int64), 1, 0
    prefixes = np.fromiter(map(attrgetter("prefix_tokens"), requests), np.int64, count)
    blocks = np.maximum(np.minimum(prefixes, prompts - 1), 0) // block_tokens
    alone = np.bincount(group[group >= 0], minlength=len(places)) < SHARED_BY
    blocks[(group < 0) | alone[group]] = 0
    longest = np.zeros(len(places), np.int64)
    np.maximum.at(longest, group[group >= 0], blocks[group >= 0])
    starts = np.concatenate([[0], np.cumsum(longest)])
    nodes = int(starts[-1])
    return blocks, np.maximum(group, 0), starts, max(int(longest.max()), 1), nodes


def _hashed(traffic: Traffic, prompts: Any, block_tokens: int) -> _Shared:
    """Shared prefixes by the hashes of their blocks, each of which stands for all before it too."""
    import numpy as np

    grain, requests = traffic.hash_block_tokens, traffic.requests
    hashes: Sequence[Sequence[int]] = [r.block_hashes for r in requests]
    if grain % block_tokens:
        hashes = [_rehashed(ids, grain, block_tokens) for ids in hashes]
        grain = block_tokens
    lengths = np.fromiter((len(ids) for ids in hashes), np.int64, len(hashes))
    total = int(lengths.sum())
    flat = np.fromiter(chain.from_iterable(hashes), np.int64, total)
    _, dense, counts = np.unique(flat, return_inverse=True, return_counts=True)
    shared = counts >= SHARED_BY
    first = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(len(hashes)), lengths)
    place = np.arange(total) - first[owner]
    run = lengths.copy()
    np.minimum.at(run, owner[~shared[dense]], place[~shared[dense]])  # up to the first unshared
    span = grain // block_tokens
    number = np.cumsum(shared) - 1  # nodes for shared hashes only
    blocks = np.minimum(run * grain, prompts - 1) // block_tokens
    starts = np.maximum(number[dense], 0) * span
    return np.maximum(blocks, 0), first, starts, span, int(shared.sum()) * span


def _rehashed(ids: Sequence[int], grain: int, block_tokens: int) -> list[int]:
    """A hash for each whole KV block: that of the unit with its last token, and where it stands."""
    ends = range(block_tokens - 1, len(ids) * grain, block_tokens)
    return [ids[end // grain] * grain + end % grain for end in ends]

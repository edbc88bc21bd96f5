"""KV memory as blocks: one page size tells the three layouts apart.

Paged: blocks of `kv_block_tokens` on demand. Static: one block of the maximum length per
sequence. Dynamic: blocks of one token, with the final length promised on entry, since a cache
that grows by concatenation cannot be taken back half-way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from costaudit.whatif.line import final_tokens
from costaudit.whatif.scenario import KvLayout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from costaudit.traffic.traffic import Request
    from costaudit.whatif.line import Live
    from costaudit.whatif.scenario import Scenario


@dataclass(slots=True)
class _Prefix:
    """Blocks of one shared prefix; `computed` of them hold their tokens.

    `uses` are the lengths, in blocks, in which running sequences share it; the tail beyond the
    longest of them is idle.
    """

    blocks: int = 0
    computed: int = 0
    uses: list[int] = field(default_factory=list)

    @property
    def pinned(self) -> int:
        """Blocks that somebody uses."""
        return max(self.uses, default=0)


@dataclass(slots=True, kw_only=True)
class Pool:
    """Blocks in use. Idle prefixes stay until their room is needed, least recently used first."""

    total: int
    block_tokens: int
    promises: bool = False
    caching: bool = False
    own: int = 0  # blocks of single sequences
    pinned: int = 0  # blocks of prefixes in use
    promised: int = 0
    peak: int = 0
    _idle: int = 0  # blocks of prefixes that nobody uses
    _prefixes: dict[int | None, _Prefix] = field(default_factory=dict)

    @property
    def free(self) -> int:
        """Blocks that can be had, idle prefixes included."""
        return self.total - self.own - self.pinned

    def blocks(self, tokens: int) -> int:
        """Blocks that hold `tokens`."""
        return -(-tokens // self.block_tokens)

    def enter(self, live: Live, tokens: int) -> int | None:
        """Reserve for `tokens`; the prefix tokens found in the cache, or None without room."""
        request = live.request
        final = self.blocks(final_tokens(request)) if self.promises else 0
        shared = self._shareable(request) if self.caching else 0
        prefix = self._prefixes.get(request.prefix_id, _Prefix())
        pin = max(shared - prefix.pinned, 0)
        own = self.blocks(tokens) - shared
        if own + pin > self.free or self.promised + final > self.total:
            return None
        self.promised += final
        live.own_blocks, live.shared_blocks = own, shared
        if shared:
            self._use(request.prefix_id, prefix, shared)
        self._claim(own)
        return min(shared, prefix.computed) * self.block_tokens

    def grow(self, lives: Iterable[Live], steps: int = 0) -> None:
        """Take the blocks that these sequences fill, or will after `steps` more tokens each."""
        size, own = self.block_tokens, 0
        for live in lives:
            more = -(-(live.cached + steps) // size) - live.shared_blocks - live.own_blocks
            if more > 0:
                own += more
                live.own_blocks += more
        if own:
            self._claim(own)

    def missing(self, lives: Iterable[Live], steps: int) -> int:
        """Blocks that `steps` ≥ 1 more tokens for each of these need beyond the free ones."""
        size = self.block_tokens
        more = [-(-(v.cached + steps) // size) - v.shared_blocks - v.own_blocks for v in lives]
        return sum(more) - self.free

    def fill(self, live: Live, tokens: int) -> None:
        """The coming step computes up to `tokens`: requests scheduled after may share them."""
        if live.shared_blocks:
            prefix = self._prefixes[live.request.prefix_id]
            done = min(tokens // self.block_tokens, live.shared_blocks)
            prefix.computed = max(prefix.computed, done)

    def leave(self, live: Live) -> None:
        """Give everything back; a shared prefix stays cached."""
        self.own -= live.own_blocks
        if self.promises:
            self.promised -= self.blocks(final_tokens(live.request))
        if live.shared_blocks:
            key = live.request.prefix_id
            prefix = self._prefixes.pop(key)
            self._prefixes[key] = prefix  # most recently used last
            before = prefix.pinned
            prefix.uses.remove(live.shared_blocks)
            self.pinned -= before - prefix.pinned
            self._idle += before - prefix.pinned
        live.own_blocks = live.shared_blocks = 0

    def _shareable(self, request: Request) -> int:
        return shareable_tokens(request, self.block_tokens) // self.block_tokens

    def _use(self, key: int | None, prefix: _Prefix, shared: int) -> None:
        self._prefixes[key] = prefix
        pinned, blocks = prefix.pinned, prefix.blocks
        prefix.uses.append(shared)
        prefix.blocks = max(blocks, shared)
        self.pinned += prefix.pinned - pinned
        self._idle += (prefix.blocks - prefix.pinned) - (blocks - pinned)

    def _claim(self, blocks: int) -> None:
        self.own += blocks
        self.peak = max(self.peak, self.own + self.pinned)
        for key in tuple(self._prefixes):
            if self.own + self.pinned + self._idle <= self.total:
                return
            self._evict(key)

    def _evict(self, key: int | None) -> None:
        prefix = self._prefixes[key]
        self._idle -= prefix.blocks - prefix.pinned
        prefix.blocks = prefix.pinned
        prefix.computed = min(prefix.computed, prefix.blocks)
        if not prefix.uses:
            del self._prefixes[key]


def shareable_tokens(request: Request, block_tokens: int) -> int:
    """Prefix tokens in full blocks; at least one prompt token is always computed anew."""
    if request.prefix_id is None:
        return 0
    tokens = min(request.prefix_tokens, request.prompt_tokens - 1)
    return max(tokens, 0) // block_tokens * block_tokens


def pool_of(scenario: Scenario) -> Pool:
    """The KV memory of a scenario, empty."""
    knobs = scenario.knobs
    match knobs.kv_layout:
        case KvLayout.PAGED:
            size = knobs.kv_block_tokens
            return Pool(
                total=knobs.kv_budget_tokens // size,
                block_tokens=size,
                caching=knobs.prefix_caching,
            )
        case KvLayout.STATIC:
            size = slot_tokens(scenario)
            return Pool(total=knobs.kv_budget_tokens // size, block_tokens=size)
        case KvLayout.DYNAMIC:
            return Pool(total=knobs.kv_budget_tokens, block_tokens=1, promises=True)
        case _:
            assert_never(knobs.kv_layout)


def slot_tokens(scenario: Scenario) -> int:
    """What a static cache reserves per sequence: the maximum length, or what the longest needs."""
    maximum = scenario.knobs.max_model_len or scenario.shape.max_context_tokens
    return max(maximum, *(final_tokens(r) for r in scenario.traffic.requests), 1)

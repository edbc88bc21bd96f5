"""Who may enter, and how much of whose prompt the coming step computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.whatif.scheduler.blocks import (
    blocks_for,
    cached_nodes,
    claim,
    final_blocks,
    idle_nodes,
    note_served,
    own_cached,
    served_before,
    store,
    take_cached,
)
from costaudit.whatif.scheduler.log import log_chunk
from costaudit.whatif.scheduler.rows import admit_last, join

if TYPE_CHECKING:
    from costaudit.whatif.scheduler.state import Job, State


def partial_chunk(s: State) -> int:
    """Tokens that the coming step computes of the prompt under way."""
    m = s.machine
    if m.partial < 0:
        return 0
    job = s.jobs[m.partial]
    left = job.target_tokens - job.cached_tokens
    return left if m.batched_tokens == 0 else max(min(left, m.budget), 0)


def partial_blocks(s: State, chunk: int) -> int:
    """Blocks that it needs for them."""
    m = s.machine
    if m.partial < 0:
        return 0
    job = s.jobs[m.partial]
    return max(blocks_for(s, job.cached_tokens + chunk) - job.held_blocks, 0)


def continue_partial(s: State) -> None:
    """The prompt under way comes first."""
    m = s.machine
    if m.partial < 0:
        return
    index, chunk = m.partial, partial_chunk(s)
    if chunk > 0:
        m.partial = -1
        _compute(s, index, chunk)


def admit_waiting(s: State) -> None:
    """Let requests in, first come first served, until one does not fit."""
    m = s.machine
    while m.returned > 0 or m.fresh >= 0:
        full = m.running + m.ready + (1 if m.partial >= 0 else 0) >= m.most_rows
        if full or (m.batched_tokens > 0 and m.budget <= 0):
            return
        back = m.returned > 0
        index = s.rows[m.returned - 1].returned if back else m.fresh
        if not _admit(s, index):
            return
        if back:
            m.returned -= 1
        else:
            m.fresh = s.jobs[index].behind


def _admit(s: State, index: int) -> bool:
    """Give the request its blocks and its prefix hits, if there is room.

    The whole prompt must fit, beside the watermark if anybody else is in the engine, although
    blocks are taken chunk by chunk.
    """
    m = s.machine
    job = s.jobs[index]
    nodes = cached_nodes(s, job)
    own = own_cached(s, job, nodes)
    start = _start(s, job, nodes + own)
    chunk = job.target_tokens - start
    if m.batched_tokens > 0 and chunk > m.budget:
        if m.chunked == 0:
            return False
        chunk = m.budget
    whole = blocks_for(s, job.target_tokens)
    if chunk <= 0:  # it decodes in the coming step
        whole = (start * m.unit + m.lead + m.growth) // m.cycle
    needed = whole - nodes + idle_nodes(s, job, nodes)  # idle own blocks are free as new ones are
    if m.running + m.ready > 0 or m.partial >= 0:
        needed += m.watermark_blocks
    promised = m.promised + final_blocks(s, job)
    if needed > m.free_blocks or (m.promises and promised > m.total_blocks):
        return False
    take_cached(s, index, nodes, own)
    _enter(s, index, start)
    if m.promises:
        m.promised = promised
    if chunk > 0:
        _compute(s, index, chunk)
    else:
        claim(s, whole - job.held_blocks)
        job.held_blocks = whole
        m.budget -= m.width
        join(s, index)
    return True


def _start(s: State, job: Job, found: int) -> int:
    """Tokens that need not be computed: what it brings along, or finds in the cache."""
    m = s.machine
    if job.cached_tokens > 0:  # back from preemption with its cache
        return job.cached_tokens
    if m.perfect_prefix:
        return (job.shareable_blocks if job.entered else served_before(s, job)) * m.share_tokens
    return found * m.block_tokens


def _enter(s: State, index: int, start: int) -> None:
    m = s.machine
    job = s.jobs[index]
    if job.entered == 0:
        job.entered = 1
        m.requests += 1
        m.admitted_tokens += job.prompt_tokens
        m.hit_tokens += start
        job.repeated_tokens = served_before(s, job) * m.share_tokens
        m.duplicate_tokens += job.repeated_tokens - start
        note_served(s, job)
    if job.cached_tokens == 0:
        job.again_tokens = max(job.lost_tokens - start, 0)
        m.recomputed_tokens += job.again_tokens
    job.redone_tokens = max(job.redone_tokens, job.lost_tokens)
    job.lost_tokens = 0
    job.cached_tokens = job.entered_tokens = start
    job.entered_s = m.now_s
    admit_last(s, index)


def _compute(s: State, index: int, chunk: int) -> None:
    """The coming step computes `chunk` more tokens of this prompt."""
    m = s.machine
    job = s.jobs[index]
    m.budget -= chunk
    m.prompts += 1
    m.prompt_tokens += chunk
    m.prompt_pairs += chunk * job.cached_tokens + chunk * (chunk + 1) // 2
    if m.logging:
        log_chunk(s, index, chunk)
    again = min(job.again_tokens, chunk)
    job.again_tokens -= again
    m.again_tokens += again
    job.cached_tokens += chunk
    more = blocks_for(s, job.cached_tokens) - job.held_blocks
    if more > 0:
        claim(s, more)
        job.held_blocks += more
    store(s, job, job.cached_tokens)
    if job.cached_tokens < job.target_tokens:
        m.partial = index
    else:
        s.rows[m.ready].ready = index
        m.ready += 1

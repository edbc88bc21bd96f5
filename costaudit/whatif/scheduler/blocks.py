"""KV memory: blocks, and which of the free ones still hold something.

Free blocks are taken blank ones first, then the least recently used: a request gives its blocks
back from its last to its first, so that a prefix outlives what follows it. Blocks that several
requests share are nodes; a request's own blocks go and come as one entry of the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.whatif.scheduler.state import Job, State


def blocks_for(s: State, tokens: int) -> int:
    """Blocks of a sequence that holds `tokens`, and the room its next round may need."""
    m = s.machine
    return (tokens * m.unit + m.lead) // m.cycle


def node_of(s: State, job: Job, block: int) -> int:
    """The node of one of the request's shareable blocks."""
    span = s.machine.span
    return s.starts[job.first_start + block // span] + block % span


def claim(s: State, blocks: int) -> None:
    """Take free blocks; what idle ones held is gone."""
    m = s.machine
    m.free_blocks -= blocks
    m.least_free = min(m.least_free, m.free_blocks)
    if m.caching == 0:
        return
    blank = min(blocks, m.blank_blocks)
    m.blank_blocks -= blank
    left = blocks - blank
    end = m.nodes + m.jobs
    while left > 0:
        entry = s.entries[end].after
        if entry < m.nodes:
            s.entries[entry].refs = -1
            unlink(s, entry)
            left -= 1
            continue
        job = s.jobs[entry - m.nodes]
        taken = min(left, job.idle_blocks)
        job.idle_blocks -= taken
        left -= taken
        if job.idle_blocks == 0:
            unlink(s, entry)


def unlink(s: State, entry: int) -> None:
    """Out of the queue of idle blocks."""
    older, newer = s.entries[entry].before, s.entries[entry].after
    s.entries[older].after = newer
    s.entries[newer].before = older


def queue(s: State, entry: int) -> None:
    """To the end of the queue of idle blocks: most recently used."""
    end = s.machine.nodes + s.machine.jobs
    last = s.entries[end].before
    s.entries[last].after = entry
    s.entries[entry].before = last
    s.entries[entry].after = end
    s.entries[end].before = entry


def release(s: State, index: int) -> None:
    """Give all blocks of a request back, its last one first."""
    m = s.machine
    job = s.jobs[index]
    own = job.held_blocks - job.held_nodes
    m.free_blocks += own
    if m.caching:
        if own > 0:
            job.idle_blocks = own
            queue(s, m.nodes + index)
        for block in range(job.held_nodes - 1, -1, -1):
            node = node_of(s, job, block)
            s.entries[node].refs -= 1
            if s.entries[node].refs == 0:
                m.free_blocks += 1
                queue(s, node)
    job.held_blocks = 0
    if m.promises:
        m.promised -= final_blocks(s, job)


def mean_reserved(tokens: int, steps: int, size: int) -> float:
    """Mean tokens in whole blocks of a cache that grows from `tokens` over `steps` steps.

    The mean of b·ceil(x/b) over x = tokens … tokens + steps.
    """
    slack = _slack(tokens + steps, size) - _slack(tokens - 1, size)
    return tokens + steps / 2.0 + slack / (steps + 1.0)


def _slack(tokens: int, size: int) -> int:
    """Σ over x = 1 … tokens of b·ceil(x/b) - x: whole blocks hold b(b - 1)/2 each."""
    full, rest = tokens // size, tokens % size
    return full * (size * (size - 1) // 2) + rest * size - rest * (rest + 1) // 2


def final_blocks(s: State, job: Job) -> int:
    """Blocks at the end: the last output token is never fed back, but its round needs room."""
    m = s.machine
    tokens = job.prompt_tokens + max(job.output_tokens, 1) - 1 + m.width - 1
    return -(-tokens // m.block_tokens)


def cached_nodes(s: State, job: Job) -> int:
    """Leading shareable blocks that are in the cache; one token is always computed anew."""
    m = s.machine
    if m.caching == 0:
        return 0
    most = min(job.shareable_blocks, (job.target_tokens - 1) // m.block_tokens)
    for block in range(most):
        if s.entries[node_of(s, job, block)].refs < 0:
            return block
    return most


def own_cached(s: State, job: Job, nodes: int) -> int:
    """Own blocks behind `nodes` cached ones that a preempted request left and finds again."""
    if job.idle_blocks == 0 or nodes < job.held_nodes:
        return 0
    size = s.machine.block_tokens
    most = min(job.lost_tokens // size, (job.target_tokens - 1) // size)
    return max(min(job.held_nodes + job.idle_blocks, most) - nodes, 0)


def idle_nodes(s: State, job: Job, nodes: int) -> int:
    """How many of the request's first nodes nobody holds."""
    idle = 0
    for block in range(nodes):
        if s.entries[node_of(s, job, block)].refs == 0:
            idle += 1
    return idle


def take_cached(s: State, index: int, nodes: int, own: int) -> None:
    """Hold the cached blocks that a request found; what else it left behind is blank now."""
    m = s.machine
    job = s.jobs[index]
    for block in range(nodes):
        node = node_of(s, job, block)
        if s.entries[node].refs == 0:
            unlink(s, node)
            m.free_blocks -= 1
        s.entries[node].refs += 1
    if job.idle_blocks > 0:
        unlink(s, m.nodes + index)
        m.blank_blocks += job.idle_blocks - own
        job.idle_blocks = 0
        m.free_blocks -= own
    m.least_free = min(m.least_free, m.free_blocks)
    job.held_nodes = nodes
    job.held_blocks = nodes + own
    job.share_until = nodes if own > 0 else job.shareable_blocks


def store(s: State, job: Job, tokens: int) -> None:
    """The coming step computes up to `tokens`: requests scheduled after it may share them."""
    m = s.machine
    if m.caching == 0:
        return
    done = min(tokens // m.block_tokens, job.share_until)
    while job.held_nodes < done:
        node = node_of(s, job, job.held_nodes)
        if s.entries[node].refs >= 0:  # somebody else was faster: from here on a copy of its own
            job.share_until = job.held_nodes
            return
        s.entries[node].refs = 1
        job.held_nodes += 1


def served_before(s: State, job: Job) -> int:
    """Leading shareable blocks that were prefilled before, for anybody."""
    for block in range(job.shareable_blocks):
        if s.entries[node_of(s, job, block)].seen == 0:
            return block
    return job.shareable_blocks


def note_served(s: State, job: Job) -> None:
    """All its shareable blocks have been prefilled now."""
    for block in range(job.shareable_blocks):
        s.entries[node_of(s, job, block)].seen = 1

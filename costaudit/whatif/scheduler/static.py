"""Static batching: a batch is formed, padded to its longest, and runs until its longest ends.

Tokens count as delivered when their step ends; a closed-loop client sends its next request when
its batch has ended. Rows of a batch end at the same column (left padding).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.whatif.scheduler.blocks import (
    cached_nodes,
    claim,
    idle_nodes,
    mean_reserved,
    note_served,
    release,
    served_before,
    store,
    take_cached,
)
from costaudit.whatif.scheduler.log import log_chunk, log_padded_step
from costaudit.whatif.scheduler.loop import spend_run
from costaudit.whatif.scheduler.seconds import FIRST, SUMS, TERM_COUNT, load_terms

if TYPE_CHECKING:
    from costaudit.whatif.scheduler.state import State


def serve_static(s: State) -> None:
    """The whole traffic, batch by batch."""
    m = s.machine
    m.arrived = min(m.concurrency, m.jobs)
    for index in range(m.arrived):
        s.jobs[index].arrival_s = 0.0
    while m.sent < m.jobs and m.stuck == 0:
        _gather(s)
        rows = _take_batch(s)
        for index in range(m.sent, m.sent + rows):
            _seat(s, index)
        began_s = m.now_s
        _prefill(s, rows)
        _decode(s, rows)
        _hold(s, rows, m.now_s - began_s)
        for index in range(m.sent, m.sent + rows):
            if m.caching:
                release(s, index)
        m.sent += rows
        if m.concurrency > 0:
            more = min(m.arrived + rows, m.jobs)
            for index in range(m.arrived, more):
                s.jobs[index].arrival_s = m.now_s
            m.arrived = more


def _arrive(s: State) -> None:
    m = s.machine
    while m.concurrency == 0 and m.arrived < m.jobs and s.jobs[m.arrived].arrival_s <= m.now_s:
        m.arrived += 1


def _gather(s: State) -> None:
    """Idle until somebody is there, then until the batch is full or has waited long enough."""
    m = s.machine
    _arrive(s)
    if m.arrived == m.sent:
        m.demand_idle_s += s.jobs[m.sent].arrival_s - m.now_s
        m.now_s = s.jobs[m.sent].arrival_s
        _arrive(s)
    missing = m.full_rows - (m.arrived - m.sent)
    last = m.arrived + missing - 1
    full_s = math.inf
    if missing <= 0:
        full_s = -math.inf
    elif m.concurrency == 0 and last < m.jobs:
        full_s = s.jobs[last].arrival_s
    start_s = min(full_s, s.jobs[m.sent].arrival_s + m.batch_wait_s)
    if start_s == math.inf:  # it will never be full: run when the last one is here
        over = m.concurrency > 0 or m.arrived == m.jobs
        start_s = -math.inf if over else s.jobs[m.jobs - 1].arrival_s
    start_s = max(start_s, m.now_s)
    m.queue_idle_s += start_s - m.now_s
    m.now_s = start_s
    _arrive(s)


def _take_batch(s: State) -> int:
    """The longest run of waiting requests whose caches fit at their end; its width and length."""
    m = s.machine
    rows, m.columns, m.last_step = 0, 0, 0
    group = s.jobs[m.sent].batch
    while rows < m.most_rows and m.sent + rows < m.arrived:
        job = s.jobs[m.sent + rows]
        if job.batch != group:
            break
        columns = max(m.columns, job.prompt_tokens)
        last = max(m.last_step, job.output_tokens - 1)
        if rows > 0 and _reserved(s, rows + 1, columns, last) > m.kv_tokens:
            break
        rows, m.columns, m.last_step = rows + 1, columns, last
    return rows


def _reserved(s: State, rows: int, columns: int, step: int) -> int:
    """KV tokens reserved after `step` decode steps."""
    m = s.machine
    if m.promises:  # padded to the longest
        return rows * (columns + step)
    if m.paged == 0:
        return rows * m.block_tokens
    blocks = 0
    for index in range(m.sent, m.sent + rows):
        blocks += -(-(s.jobs[index].prompt_tokens + step) // m.block_tokens)
    return blocks * m.block_tokens


def _seat(s: State, index: int) -> None:
    """Count a row in and look up what it need not compute: `cached_tokens` of its prompt."""
    m = s.machine
    job = s.jobs[index]
    job.target_tokens = job.prompt_tokens
    hit = 0
    if m.caching:
        nodes = cached_nodes(s, job)
        end = -(-(job.prompt_tokens + m.last_step) // m.block_tokens)
        if end - nodes + idle_nodes(s, job, nodes) <= m.free_blocks:
            take_cached(s, index, nodes, 0)
            claim(s, end - nodes)
            job.held_blocks = end
            hit = nodes * m.block_tokens
            store(s, job, job.prompt_tokens)
    job.repeated_tokens = served_before(s, job) * m.share_tokens
    note_served(s, job)
    if m.perfect_prefix:
        hit = job.repeated_tokens
    m.requests += 1
    m.admitted_tokens += job.prompt_tokens
    m.hit_tokens += hit
    m.duplicate_tokens += job.repeated_tokens - hit
    job.cached_tokens = hit
    if m.logging:
        log_chunk(s, index, job.prompt_tokens - hit)


def _prefill(s: State, rows: int) -> None:
    """The padded prompts: the columns to compute are the most that any row lacks.

    They attend to all columns before them.
    """
    m = s.machine
    new, lacking = 0, 0
    for index in range(m.sent, m.sent + rows):
        lacks = s.jobs[index].prompt_tokens - s.jobs[index].cached_tokens
        new, lacking = max(new, lacks), lacking + lacks
    if m.logging:
        log_padded_step(s, 1, 0, 0, 0, 0)
    pairs = new * (m.columns - new) + new * (new + 1) // 2
    tokens, wide = float(rows * new), float(rows)
    out = s.seconds
    seconds = load_terms(s.rates, s.windows, out, FIRST, tokens, wide * pairs, wide, 0.0, 0.0)
    for i in range(TERM_COUNT):
        out[SUMS + i] += out[FIRST + i]
    m.prefill_s += seconds
    m.now_s += seconds
    m.steps += 1 + m.last_step
    m.most_together = max(m.most_together, rows)
    m.padded_tokens += rows * new - lacking
    for index in range(m.sent, m.sent + rows):
        s.jobs[index].first_s = m.now_s


def _decode(s: State, rows: int) -> None:
    """All rows to the end of the longest; those that have ended are padding."""
    m = s.machine
    _sort_by_end(s, rows)
    prompts = 0
    for index in range(m.sent, m.sent + rows):
        prompts += s.jobs[index].prompt_tokens
    done, longest_s = 0, 0.0
    for place in range(rows):
        job = s.jobs[s.rows[place].end % m.jobs]
        end = max(job.output_tokens - 1, 0)
        if end > done:
            context, live = rows * (m.columns + done), rows - place
            if m.logging:
                log_padded_step(s, end - done, rows, context, live, prompts + done * live)
            m.now_s += spend_run(s, rows, float(context), end - done, live)
            longest_s = max(longest_s, m.longest_s)
            done = end
        prompts -= job.prompt_tokens
        job.last_s = m.now_s
        job.longest_gap_s = longest_s
        m.output_tokens += job.output_tokens
        m.padded_rows += m.last_step - end


def _sort_by_end(s: State, rows: int) -> None:
    """The batch by its requests' lengths, shortest first, into `State.rows`."""
    m = s.machine
    for place in range(rows):
        index = m.sent + place
        key, at = s.jobs[index].output_tokens * m.jobs + index, place
        while at > 0 and s.rows[at - 1].end > key:
            s.rows[at].end = s.rows[at - 1].end
            at -= 1
        s.rows[at].end = key


def _hold(s: State, rows: int, lasted_s: float) -> None:
    """KV memory over the batch: what a row writes after its own end is of no use to anybody."""
    m = s.machine
    at_end = _reserved(s, rows, m.columns, m.last_step)
    reserved = (_reserved(s, rows, m.columns, 0) + at_end) / 2.0
    written, paged = 0.0, 0.0
    for index in range(m.sent, m.sent + rows):
        job = s.jobs[index]
        own = max(job.output_tokens - 1, 0)
        written += job.prompt_tokens + own - own * (own + 1) / 2.0 / (m.last_step + 1.0)
        paged += mean_reserved(job.prompt_tokens, m.last_step, m.block_tokens)
    m.reserved_token_s += (paged if m.paged else reserved) * lasted_s
    m.written_token_s += written * lasted_s
    m.peak_tokens = max(m.peak_tokens, at_end)

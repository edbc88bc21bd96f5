"""The scheduler: iterations as vLLM V1 takes them, decode steps in runs.

One iteration takes every running sequence one round further and, beside it, as much of the waiting
prompts as the token budget, the rows and the memory allow, first come first served. Where blocks
run out, the newest sequence is preempted, put back to the front of the line and recomputed later;
an iteration that preempts admits nobody. Between two events (arrival, end, lack of blocks) nothing
changes, so a run of decode steps is one iteration here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from costaudit.whatif.scheduler.admission import (
    admit_waiting,
    continue_partial,
    partial_blocks,
    partial_chunk,
)
from costaudit.whatif.scheduler.blocks import claim, mean_reserved, release
from costaudit.whatif.scheduler.gaps import bin_of, count_gaps, note_event
from costaudit.whatif.scheduler.log import log_step
from costaudit.whatif.scheduler.rows import crossings, dismiss, join, leave
from costaudit.whatif.scheduler.seconds import (
    FIRST,
    LAST,
    PREFILL,
    SUMS,
    TERM_COUNT,
    load_terms,
    steps_lasting,
    stretch_end,
)

if TYPE_CHECKING:
    from costaudit.whatif.scheduler.state import State


def serve(s: State) -> None:
    """The whole traffic, in its order."""
    m = s.machine
    if m.concurrency > 0:
        m.due = min(m.concurrency, m.jobs)
        for index in range(m.due):
            _send(s, index, 0.0)
    else:
        m.due = m.jobs
        for index in range(m.jobs):
            _send(s, index, s.jobs[index].arrival_s)
    while m.sent < m.jobs and m.stuck == 0:
        if m.sent < m.due:
            advance(s, s.jobs[m.sent].due_s)
            enqueue(s, m.sent)
        else:  # closed loop: somebody must end before the next can come
            _iterate(s, math.inf)
    advance(s, math.inf)


def _send(s: State, index: int, now_s: float) -> None:
    """A client sends a request: the front end hands it on once it has done those before it."""
    m = s.machine
    s.jobs[index].arrival_s = now_s
    m.front_free_s = max(m.front_free_s, now_s) + m.front_s
    s.jobs[index].due_s = m.front_free_s


def enqueue(s: State, index: int) -> None:
    """A request reaches the engine."""
    m = s.machine
    job = s.jobs[index]
    job.left_tokens = job.output_tokens
    job.target_tokens = job.prompt_tokens
    job.behind = -1
    if m.fresh < 0:
        m.fresh = index
    else:
        s.jobs[m.fresh_last].behind = index
    m.fresh_last = index
    m.sent += 1
    m.outstanding += 1


def advance(s: State, until_s: float) -> None:
    """Work, or idle, to the first moment between two steps at or after `until_s`."""
    m = s.machine
    while m.now_s < until_s and m.stuck == 0:
        if m.outstanding > 0:
            _iterate(s, until_s)
            continue
        if until_s < math.inf:
            if m.concurrency > 0:
                m.queue_idle_s += until_s - m.now_s  # every client's request is on its way
            else:
                m.demand_idle_s += until_s - m.now_s
            m.now_s = until_s
        return


def _iterate(s: State, until_s: float) -> None:
    m = s.machine
    m.prompt_tokens = m.prompt_pairs = m.prompts = m.again_tokens = m.ready = 0
    preempted = _make_room(s)
    continue_partial(s)
    if not preempted:
        admit_waiting(s)
    together = m.running + m.ready + (1 if m.partial >= 0 else 0)
    m.most_together = max(m.most_together, together)
    if m.prompts > 0:
        _mixed_step(s)
    elif m.running > 0:
        _decode_run(s, 1 if preempted else _longest_run(s, until_s))
    else:
        m.stuck = 1


def _make_room(s: State) -> bool:
    """Preempt the newest until all others can go on; the rows take the blocks of their next step.

    A prompt under way needs its next chunk's blocks too.
    """
    m = s.machine
    preempted = False
    while True:
        m.budget = m.batched_tokens - m.running * m.width
        rows = crossings(s, m.steps, 1)
        if rows + partial_blocks(s, partial_chunk(s)) <= m.free_blocks or m.newest < 0:
            break
        _preempt(s, m.newest)
        preempted = True
    claim(s, rows)
    return preempted


def _preempt(s: State, index: int) -> None:
    m = s.machine
    job = s.jobs[index]
    if m.partial == index:
        m.partial = -1
    else:
        leave(s, index)
    dismiss(s, index)
    _settle_memory(s, index)
    release(s, index)
    m.preemptions += 1
    if m.free_resume == 0:
        job.lost_tokens = max(job.lost_tokens, job.cached_tokens)
        job.cached_tokens = 0
        job.target_tokens = job.prompt_tokens + job.output_tokens - job.left_tokens
    s.rows[m.returned].returned = index
    m.returned += 1


def _longest_run(s: State, until_s: float) -> int:
    """Decode steps until a sequence ends, the memory is full, or an arrival can join."""
    m = s.machine
    steps = s.rows[0].end // m.jobs - m.steps
    bound = m.running * ((steps - 1) * m.growth // m.cycle + 1)
    if bound > m.free_blocks and crossings(s, m.steps + 1, steps - 1) > m.free_blocks:
        low, high = 1, steps  # the first step's blocks are taken; `high` lacks some
        while high - low > 1:
            middle = (low + high) // 2
            if crossings(s, m.steps + 1, middle - 1) > m.free_blocks:
                high = middle
            else:
                low = middle
        steps = low
    waiting = m.returned > 0 or m.fresh >= 0
    if until_s < math.inf and not waiting and m.running < m.most_rows:
        context, wait_s = m.context_units / m.unit, until_s - m.now_s
        rows = float(m.running)
        return steps_lasting(s.rates, s.windows, s.seconds, rows, context, steps, wait_s)
    return steps


def _decode_run(s: State, steps: int) -> None:
    """`steps` iterations without prompt tokens."""
    m = s.machine
    claim(s, crossings(s, m.steps + 1, steps - 1))
    m.now_s += spend_run(s, m.running, m.context_units / m.unit, steps, m.running)
    _move_on(s, steps, m.longest_s)
    _finish_ended(s)


def spend_run(s: State, rows: int, context: float, steps: int, wanting: int) -> float:
    """Seconds of so many decode steps of so many rows, of which some want the tokens."""
    out, wide = s.seconds, float(rows)
    total, longest, first = 0.0, 0.0, 0
    while first < steps:
        end = stretch_end(s.rates, s.windows, out, wide, context, first, steps)
        first_s = last_s = 0.0
        for i in range(TERM_COUNT):
            at_first, at_last = out[FIRST + i], out[LAST + i]
            out[SUMS + i] += (end - first) * (at_first + at_last) / 2.0
            first_s += at_first
            last_s += at_last
        total += (end - first) * (first_s + last_s) / 2.0
        count_gaps(s.gaps, first_s, last_s, end - first, wanting)
        longest = max(longest, first_s, last_s)
        first = end
    s.machine.longest_s = longest
    return total


def _mixed_step(s: State) -> None:
    """One iteration with prompt tokens in it.

    Where prompts ride along with decoding rows, prefill bears its own compute and decode the
    rest, which it would have cost anyway.
    """
    m = s.machine
    tokens, pairs, prompts = float(m.prompt_tokens), float(m.prompt_pairs), float(m.prompts)
    out, rows, context = s.seconds, float(m.running), m.context_units / m.unit
    seconds = load_terms(s.rates, s.windows, out, FIRST, tokens, pairs, prompts, rows, context)
    for i in range(TERM_COUNT):
        out[SUMS + i] += out[FIRST + i]
    prefill_s = out[FIRST + PREFILL] if m.running > 0 else seconds
    m.prefill_s += prefill_s
    m.recompute_s += prefill_s * m.again_tokens / tokens
    if m.running > 0:
        m.mixed_s += seconds
        count_gaps(s.gaps, seconds, seconds, 1, m.running)
    m.now_s += seconds
    _move_on(s, 1, seconds)
    _finish_ended(s)
    for place in range(m.ready):
        _first_token(s, s.rows[place].ready)


def _move_on(s: State, steps: int, longest_s: float) -> None:
    m = s.machine
    if m.logging:
        log_step(s, steps)
    m.steps += steps
    m.context_units += steps * m.growth * m.running
    note_event(s, longest_s)


def _first_token(s: State, index: int) -> None:
    """A prefill is done: it yields a token, the first or, after preemption, the next one."""
    m = s.machine
    job = s.jobs[index]
    job.entered_tokens = job.cached_tokens
    if job.first_s < 0.0:
        job.first_s = m.now_s
    else:
        gap = m.now_s - job.token_s
        job.longest_gap_s = max(job.longest_gap_s, gap)
        s.gaps[bin_of(gap)] += 1
    job.token_s = m.now_s
    if job.left_tokens > 0:
        job.left_tokens -= 1
        m.output_tokens += 1
    if job.left_tokens == 0:
        _finish(s, index)
    else:
        join(s, index)


def _finish_ended(s: State) -> None:
    m = s.machine
    while m.running > 0 and s.rows[0].end // m.jobs <= m.steps:
        index = s.rows[0].end % m.jobs
        leave(s, index)
        _finish(s, index)


def _finish(s: State, index: int) -> None:
    m = s.machine
    s.jobs[index].last_s = m.now_s
    dismiss(s, index)
    _settle_memory(s, index)
    release(s, index)
    m.outstanding -= 1
    m.ended = m.ended + 1 if m.ended_s == m.now_s else 1
    m.ended_s = m.now_s
    if m.concurrency > 0 and m.due < m.jobs:
        _send(s, m.due, m.now_s + m.think_s)
        m.due += 1


def _settle_memory(s: State, index: int) -> None:
    """KV memory held since the sequence entered: the mean over its steps times the seconds."""
    m = s.machine
    job = s.jobs[index]
    held_s, first = m.now_s - job.entered_s, max(job.entered_tokens, 1)
    steps = max(job.cached_tokens - first, 0)
    m.reserved_token_s += mean_reserved(first, steps, m.block_tokens) * held_s
    m.written_token_s += (first + steps / 2.0) * held_s

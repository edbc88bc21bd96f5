"""The decoding rows: who ends when, where they stand in their blocks, who is the newest.

All rows gain the same per step, so the step after which each ends is known when it joins, and its
place within its block, seen from a counter that runs with the steps, never changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.whatif.scheduler.gaps import longest_since

if TYPE_CHECKING:
    from costaudit.whatif.scheduler.state import State


def join(s: State, index: int) -> None:
    """The job, `cached_tokens` long with `left_tokens` to come, decodes from the next step on."""
    m = s.machine
    job = s.jobs[index]
    job.joined_at = m.steps
    job.ends_at = m.steps + -(-job.left_tokens * m.unit // m.growth)
    job.event = m.events + 1
    m.running += 1
    m.context_units += job.cached_tokens * m.unit
    _count_phase(s, _phase(s, index), 1)
    job.place = m.running - 1
    s.rows[job.place].end = job.ends_at * m.jobs + index
    _rise(s, job.place)


def leave(s: State, index: int) -> None:
    """The job decodes no more: its tokens are brought up to date."""
    m = s.machine
    job = s.jobs[index]
    _count_phase(s, _phase(s, index), -1)
    grown = (m.steps - job.joined_at) * m.growth
    job.held_blocks = (job.cached_tokens * m.unit + m.lead + grown) // m.cycle
    m.context_units -= job.cached_tokens * m.unit + grown
    produced = min(grown // m.unit, job.left_tokens)
    job.cached_tokens += produced
    job.left_tokens -= produced
    m.output_tokens += produced
    job.token_s = m.now_s
    job.longest_gap_s = max(job.longest_gap_s, longest_since(s, job.event))
    m.running -= 1
    place, last = job.place, s.rows[m.running].end
    job.place = -1
    if place < m.running:
        s.rows[place].end = last
        s.jobs[last % m.jobs].place = place
        _rise(s, place)
        _sink(s, s.jobs[last % m.jobs].place)


def crossings(s: State, at: int, steps: int) -> int:
    """Blocks that the rows take in `steps` steps after step `at`."""
    m = s.machine
    moved = steps * m.growth
    whole = moved // m.cycle * m.running
    rest = moved % m.cycle
    if rest == 0 or m.running == 0:
        return whole
    high = -at * m.growth % m.cycle
    low = (high - rest) % m.cycle
    between = _phases_below(s, high) - _phases_below(s, low)
    return whole + between if low < high else whole + m.running + between


def _phase(s: State, index: int) -> int:
    m = s.machine
    job = s.jobs[index]
    return (job.cached_tokens * m.unit + m.lead - job.joined_at * m.growth) % m.cycle


def _count_phase(s: State, phase: int, rows: int) -> None:
    i = phase + 1
    while i <= s.machine.cycle:
        s.phases[i] += rows
        i += i & -i


def _phases_below(s: State, phase: int) -> int:
    total, i = 0, phase
    while i > 0:
        total += s.phases[i]
        i -= i & -i
    return total


def _rise(s: State, place: int) -> None:
    """Put an entry of the heap of ends where it belongs, upwards."""
    jobs, key = s.machine.jobs, s.rows[place].end
    while place > 0:
        parent = (place - 1) // 2
        above = s.rows[parent].end
        if above <= key:
            break
        s.rows[place].end = above
        s.jobs[above % jobs].place = place
        place = parent
    s.rows[place].end = key
    s.jobs[key % jobs].place = place


def _sink(s: State, place: int) -> None:
    """The same, downwards."""
    m = s.machine
    key = s.rows[place].end
    while 2 * place + 1 < m.running:
        child = 2 * place + 1
        if child + 1 < m.running and s.rows[child + 1].end < s.rows[child].end:
            child += 1
        below = s.rows[child].end
        if key <= below:
            break
        s.rows[place].end = below
        s.jobs[below % m.jobs].place = place
        place = child
    s.rows[place].end = key
    s.jobs[key % m.jobs].place = place


def admit_last(s: State, index: int) -> None:
    """Append to those that are in the engine, in order of admission."""
    m = s.machine
    job = s.jobs[index]
    job.older, job.newer = m.newest, -1
    if m.newest >= 0:
        s.jobs[m.newest].newer = index
    else:
        m.oldest = index
    m.newest = index


def dismiss(s: State, index: int) -> None:
    """Take out of those that are in the engine."""
    m = s.machine
    job = s.jobs[index]
    if job.older >= 0:
        s.jobs[job.older].newer = job.newer
    else:
        m.oldest = job.newer
    if job.newer >= 0:
        s.jobs[job.newer].older = job.older
    else:
        m.newest = job.older

"""The steps that were taken, for those who ask what went into them."""

# ruff: noqa: PLR0917 - compiled functions take their numbers in order
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.whatif.scheduler.state import State

FULL = 2  # why the machine is stuck: the log has no room left


def log_step(s: State, steps: int) -> None:
    """Steps without a change in between, as they begin."""
    m = s.machine
    if m.logged_steps == len(s.steps):
        m.stuck = FULL
        return
    step = s.steps[m.logged_steps]
    step.steps = steps
    step.rows = m.running
    step.context_units = m.context_units
    step.live_rows = step.rows
    step.live_units = step.context_units
    step.chunks = m.logged_chunks
    m.logged_steps += 1


def log_padded_step(
    s: State, steps: int, rows: int, context: int, live_rows: int, live_context: int
) -> None:
    """Steps of a static batch, of which only the live rows are wanted."""
    m = s.machine
    if m.logged_steps == len(s.steps):
        m.stuck = FULL
        return
    step = s.steps[m.logged_steps]
    step.steps, step.rows, step.context_units = steps, rows, context
    step.live_rows, step.live_units = live_rows, live_context
    step.padded = 1
    step.chunks = m.logged_chunks
    m.logged_steps += 1


def log_chunk(s: State, index: int, tokens: int) -> None:
    """What the coming step computes of a prompt."""
    m = s.machine
    if m.logged_chunks == len(s.chunks):
        m.stuck = FULL
        return
    job, chunk = s.jobs[index], s.chunks[m.logged_chunks]
    chunk.job = index
    chunk.start = job.cached_tokens
    chunk.end = job.cached_tokens + tokens
    chunk.redone_tokens = job.redone_tokens
    m.logged_chunks += 1

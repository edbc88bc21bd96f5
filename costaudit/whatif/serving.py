"""Continuous batching: requests join and leave between steps.

One iteration takes every running sequence one token further and, beside it, as many waiting
prompts as `max_num_batched_tokens`, `max_num_seqs` and the KV memory allow, in FCFS order; a
prompt longer than what is left of the budget is computed in chunks. Where the memory runs out,
the latest arrival is preempted and later recomputed; an iteration that preempts admits nobody.
Between two events (arrival, end of a sequence, end of memory) nothing changes, so a run of decode
steps is advanced at once.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.target.load import StepLoad
from costaudit.whatif.kv_pool import pool_of
from costaudit.whatif.ledger import sawtooth
from costaudit.whatif.line import line_of

if TYPE_CHECKING:
    from costaudit.whatif.kv_pool import Pool
    from costaudit.whatif.ledger import Ledger
    from costaudit.whatif.line import Line, Live
    from costaudit.whatif.scenario import Scenario
    from costaudit.whatif.steptime import StepTime


@dataclass(slots=True, kw_only=True)
class _Engine:
    """State of the engine between two iterations; `filling` in order of arrival."""

    scenario: Scenario
    ledger: Ledger
    line: Line
    pool: Pool
    perfect_prefix: bool
    free_resume: bool
    now: float = 0.0
    running: list[Live] = field(default_factory=list)  # one token per step
    filling: list[Live] = field(default_factory=list)  # prompts not yet computed to their end


def run_continuous(
    scenario: Scenario, ledger: Ledger, *, perfect_prefix: bool, free_resume: bool
) -> float:
    """Serve the whole traffic; the time of the end.

    `free_resume`: a preempted sequence comes back with its cache, as if nothing had to be
    recomputed.
    """
    engine = _Engine(
        scenario=scenario,
        ledger=ledger,
        line=line_of(scenario.traffic),
        pool=pool_of(scenario),
        perfect_prefix=perfect_prefix,
        free_resume=free_resume,
    )
    while engine.running or engine.filling or not engine.line.over:
        _iterate(engine)
    return engine.now


def _iterate(engine: _Engine) -> None:
    engine.line.arrive(engine.now)
    preempted = _make_room(engine)
    chunks = _chunks(engine, admitting=not preempted)
    ledger = engine.ledger
    together = len(engine.running) + len(engine.filling)
    ledger.max_concurrency = max(ledger.max_concurrency, together)
    if chunks:
        _mixed_step(engine, chunks)
    elif engine.running:
        _decode_run(engine, 1 if preempted else _longest_run(engine))
    elif not engine.line.waiting:
        idle_until = engine.line.next_arrival_s
        ledger.demand_idle_s += idle_until - engine.now
        engine.now = idle_until


def _make_room(engine: _Engine) -> bool:
    """Preempt the latest arrivals until every running sequence can write its next token."""
    preempted = False
    while len(engine.running) > engine.pool.free and engine.pool.missing(engine.running, 1) > 0:
        preempted = True
        _preempt(engine, max(engine.running + engine.filling, key=lambda live: live.order))
    if engine.line.waiting:  # nobody who enters in this step may take it
        engine.pool.grow(engine.running, 1)
    return preempted


def _preempt(engine: _Engine, live: Live) -> None:
    (engine.running if live in engine.running else engine.filling).remove(live)
    _settle_memory(engine, live)
    engine.pool.leave(live)
    engine.ledger.preemptions += 1
    if not engine.free_resume:
        live.lost, live.cached = max(live.lost, live.cached), 0
        live.target = live.request.prompt_tokens + live.produced
    engine.line.waiting.appendleft(live)


def _token_budget(engine: _Engine) -> float:
    limit = engine.scenario.knobs.max_num_batched_tokens
    return math.inf if limit is None else limit - len(engine.running)


def _chunks(engine: _Engine, *, admitting: bool) -> list[tuple[Live, int]]:
    """New prompt tokens of this step by sequence; admits waiting requests on the way."""
    budget, chunks = _token_budget(engine), []
    for live in engine.filling:
        size = int(min(live.target - live.cached, max(budget, 0)))
        budget -= size
        if size:
            engine.pool.fill(live, live.cached + size)
            chunks.append((live, size))
    knobs, waiting = engine.scenario.knobs, engine.line.waiting
    most = min(knobs.max_num_seqs, knobs.max_num_batched_tokens or knobs.max_num_seqs)
    while admitting and waiting and budget > 0:
        if len(engine.running) + len(engine.filling) >= most or not _admit(engine, waiting[0]):
            break
        live = waiting.popleft()
        if live.cached >= live.target:  # back from preemption with its cache
            engine.running.append(live)
            budget -= 1
            continue
        engine.filling.append(live)
        size = int(min(live.target - live.cached, budget))
        budget -= size
        engine.pool.fill(live, live.cached + size)
        chunks.append((live, size))
    return chunks


def _admit(engine: _Engine, live: Live) -> bool:
    """Give the request its blocks and its prefix hits, if there is room."""
    hit = engine.pool.enter(live, max(live.target, live.cached + (live.produced > 0)))
    if hit is None:
        return False
    ledger = engine.ledger
    first_time = math.isnan(live.entered_s)
    if first_time or not live.cached:
        repeated = ledger.served_before(live)
        hit = repeated if engine.perfect_prefix else hit
        live.cached = hit
        if first_time:
            ledger.admit(live, hit=hit, repeated=repeated)
        ledger.recomputed_tokens += max(live.lost - hit, 0)
    else:
        engine.pool.fill(live, live.cached)
    live.lost, live.entered_s, live.entered_tokens = 0, engine.now, live.cached
    return True


def _mixed_step(engine: _Engine, chunks: list[tuple[Live, int]]) -> None:
    """One iteration with prompt tokens in it."""
    load = StepLoad(
        prefill_tokens=sum(size for _, size in chunks),
        prefill_pairs=sum(size * live.cached + size * (size + 1) // 2 for live, size in chunks),
        prefill_seqs=len(chunks),
        decode_seqs=len(engine.running),
        decode_context_tokens=sum([live.cached for live in engine.running]),
    )
    engine.now += engine.ledger.spend(engine.scenario.step_time.terms_s(load), load, 1)
    decoded = engine.running
    for live, size in chunks:
        live.cached += size
    ready = [live for live in engine.filling if live.cached >= live.target]
    engine.filling = [live for live in engine.filling if live.cached < live.target]
    for live in ready:
        live.entered_tokens = live.cached
        if live.left > 0:
            live.left -= 1
            engine.ledger.output_tokens += 1
        if math.isnan(live.first_s):
            engine.ledger.first_token(live, engine.now)
    _advance(engine, decoded, 1)
    engine.running = decoded + ready
    _retire(engine)


def _decode_run(engine: _Engine, steps: int) -> None:
    """`steps` iterations without prompt tokens."""
    load = _decode_load(engine)
    terms = engine.scenario.step_time.run_s(load, steps)
    engine.now += engine.ledger.spend(terms, load, steps)
    _advance(engine, engine.running, steps)
    _retire(engine)


def _decode_load(engine: _Engine) -> StepLoad:
    context = sum([live.cached for live in engine.running])
    return StepLoad(decode_seqs=len(engine.running), decode_context_tokens=context)


def _advance(engine: _Engine, lives: list[Live], steps: int) -> None:
    for live in lives:
        live.cached += steps
        live.left -= steps
    engine.ledger.output_tokens += steps * len(lives)
    engine.pool.grow(lives)


def _retire(engine: _Engine) -> None:
    """Let go of the sequences that have all their tokens."""
    done = [live for live in engine.running if live.left <= 0]
    if not done:
        return
    engine.running = [live for live in engine.running if live.left > 0]
    for live in done:
        engine.ledger.last_token(live, engine.now)
        _settle_memory(engine, live)
        engine.pool.leave(live)
    engine.line.replace(len(done), engine.now)


def _settle_memory(engine: _Engine, live: Live) -> None:
    """Account for the KV memory held since the sequence entered."""
    pool, ledger = engine.pool, engine.ledger
    held_s, first = engine.now - live.entered_s, max(live.entered_tokens, 1)
    reserved, written = sawtooth(first, max(live.cached - first, 0), pool.block_tokens)
    ledger.hold(reserved * held_s, written * held_s)
    peak_tokens = pool.peak * pool.block_tokens
    ledger.peak_share = peak_tokens / engine.scenario.knobs.kv_budget_tokens


def _longest_run(engine: _Engine) -> int:
    """Decode steps until a sequence ends, the memory is full, or an arrival can join."""
    running, pool = engine.running, engine.pool
    steps = min([live.left for live in running])
    bound = len(running) * (steps // pool.block_tokens + 1)
    if bound > pool.free and pool.missing(running, steps) > 0:
        fitting = bisect_right(range(1, steps), 0, key=lambda n: pool.missing(running, n))
        steps = max(fitting, 1)
    slots = engine.scenario.knobs.max_num_seqs - len(running)
    wait_s = engine.line.next_arrival_s - engine.now
    if slots > 0 and not engine.line.waiting and math.isfinite(wait_s):
        return _steps_until(engine.scenario.step_time, _decode_load(engine), steps, wait_s)
    return steps


def _steps_until(step_time: StepTime, load: StepLoad, most: int, wait_s: float) -> int:
    """Fewest steps that last `wait_s`, at most `most`; step times change little, so few guesses."""

    def lasting_s(steps: int) -> float:
        return math.fsum(step_time.run_s(load, steps).values())

    low, low_s, high, high_s = 0, 0.0, most, lasting_s(most)
    if high_s < wait_s:
        return most
    while high - low > 1:
        guess = low + math.ceil((wait_s - low_s) / (high_s - low_s) * (high - low))
        guess = min(max(guess, low + 1), high - 1)
        guess_s = lasting_s(guess)
        if guess_s < wait_s:
            low, low_s = guess, guess_s
        else:
            high, high_s = guess, guess_s
    return high

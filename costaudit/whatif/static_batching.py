"""Static batching: a batch is formed, padded to its longest, and runs until its longest ends."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import islice, takewhile
from typing import TYPE_CHECKING, assert_never

from costaudit.target.load import StepLoad
from costaudit.whatif.kv_pool import pool_of
from costaudit.whatif.ledger import sawtooth
from costaudit.whatif.line import line_of
from costaudit.whatif.scenario import KvLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.whatif.kv_pool import Pool
    from costaudit.whatif.ledger import Ledger
    from costaudit.whatif.line import Line, Live
    from costaudit.whatif.scenario import Scenario


def run_static(scenario: Scenario, ledger: Ledger, *, perfect_prefix: bool) -> float:
    """Serve the whole traffic, batch by batch; the time of the end.

    A batch is the longest FCFS run of waiting requests within `max_num_seqs` whose caches fit at
    their end. Tokens count as delivered when their step ends; a closed-loop client sends the next
    request when its batch has ended.
    """
    line, pool, now = line_of(scenario.traffic), pool_of(scenario), 0.0
    while not line.over:
        now = _gather(line, scenario, now, ledger)
        batch = _take_batch(line, scenario, pool)
        reused = _enter(batch, pool, ledger, perfect_prefix=perfect_prefix)
        start, now = now, _run(batch, reused, scenario, now, ledger)
        _hold(batch, now - start, scenario, pool, ledger)
        for live in batch:
            pool.leave(live)
        line.replace(len(batch), now)
    return now


def _gather(line: Line, scenario: Scenario, now: float, ledger: Ledger) -> float:
    """Idle until somebody is there, then until the batch is full or has waited long enough."""
    line.arrive(now)
    if not line.waiting:
        ledger.demand_idle_s += line.next_arrival_s - now
        now = line.next_arrival_s
        line.arrive(now)
    knobs = scenario.knobs
    due = line.waiting[0].arrival_s + knobs.batch_wait_s
    start = min(line.full_at_s(knobs.max_num_seqs), due)
    if math.isinf(start) and start > 0:  # it will never be full: run when the last one is here
        start = line.last_arrival_s()
    start = max(start, now)
    ledger.queue_idle_s += start - now
    line.arrive(start)
    return start


def _take_batch(line: Line, scenario: Scenario, pool: Pool) -> list[Live]:
    most = min(scenario.knobs.max_num_seqs, len(line.waiting))
    own = line.waiting[0].request.batch
    queue = list(takewhile(lambda live: live.request.batch == own, islice(line.waiting, most)))
    most = len(queue)
    budget = scenario.knobs.kv_budget_tokens
    too_many = bisect_left(
        range(1, most + 1),
        x=True,
        key=lambda size: _reserved(queue[:size], _last_step(queue[:size]), scenario, pool) > budget,
    )
    for _ in range(max(too_many, 1)):
        line.waiting.popleft()
    return queue[: max(too_many, 1)]


def _last_step(batch: Sequence[Live]) -> int:
    """Decode steps of the batch: the first output token comes from the prefill."""
    return max(max(live.request.output_tokens for live in batch) - 1, 0)


def _reserved(batch: Sequence[Live], step: int, scenario: Scenario, pool: Pool) -> int:
    """KV tokens reserved after `step` decode steps."""
    width = max(live.request.prompt_tokens for live in batch)
    match scenario.knobs.kv_layout:
        case KvLayout.DYNAMIC:
            return len(batch) * (width + step)
        case KvLayout.STATIC:
            return len(batch) * pool.block_tokens
        case KvLayout.PAGED:
            ends = (live.request.prompt_tokens + step for live in batch)
            return pool.block_tokens * sum(pool.blocks(end) for end in ends)
        case _:
            assert_never(scenario.knobs.kv_layout)


def _enter(batch: Sequence[Live], pool: Pool, ledger: Ledger, *, perfect_prefix: bool) -> list[int]:
    """Prompt tokens that each row need not compute."""
    reused = []
    for live in batch:
        hit = 0
        if pool.caching:
            hit = pool.enter(live, live.request.prompt_tokens + _last_step(batch)) or 0
            pool.fill(live, live.request.prompt_tokens)
        repeated = ledger.served_before(live)
        hit = repeated if perfect_prefix else hit
        ledger.admit(live, hit=hit, repeated=repeated)
        reused.append(hit)
    return reused


def _run(
    batch: Sequence[Live], reused: Sequence[int], scenario: Scenario, now: float, ledger: Ledger
) -> float:
    """One prefill of the padded prompts, then decode of all rows; the time of the end.

    Rows end at the same column (left padding), so the columns to compute are the most that any
    row lacks; they attend to all columns before them.
    """
    rows, steps = len(batch), _last_step(batch)
    width = max(live.request.prompt_tokens for live in batch)
    lacking = [live.request.prompt_tokens - hit for live, hit in zip(batch, reused, strict=True)]
    new = max(lacking)
    pairs = new * (width - new) + new * (new + 1) // 2
    load = StepLoad(prefill_tokens=rows * new, prefill_pairs=rows * pairs, prefill_seqs=rows)
    step_time = scenario.step_time
    now += ledger.spend(step_time.terms_s(load), load, 1)
    for live in batch:
        ledger.first_token(live, now)
    done = 0
    for live in sorted(batch, key=lambda live: live.request.output_tokens):
        end = max(live.request.output_tokens - 1, 0)
        if end > done:
            load = StepLoad(decode_seqs=rows, decode_context_tokens=rows * (width + done))
            now += ledger.spend(step_time.run_s(load, end - done), load, end - done)
            done = end
        ledger.last_token(live, now)
        ledger.output_tokens += live.request.output_tokens
    ledger.padded_tokens += rows * new - sum(lacking)
    ledger.padded_rows += sum(steps - max(live.request.output_tokens - 1, 0) for live in batch)
    ledger.max_concurrency = max(ledger.max_concurrency, rows)
    return now


def _hold(
    batch: Sequence[Live], lasted_s: float, scenario: Scenario, pool: Pool, ledger: Ledger
) -> None:
    """KV memory over the batch: what a row writes after its own end is of no use to anybody."""
    steps = _last_step(batch)
    at_end = _reserved(batch, steps, scenario, pool)
    reserved = (_reserved(batch, 0, scenario, pool) + at_end) / 2
    if scenario.knobs.kv_layout is KvLayout.PAGED:
        prompts = (live.request.prompt_tokens for live in batch)
        reserved = sum(sawtooth(prompt, steps, pool.block_tokens)[0] for prompt in prompts)
    written = 0.0
    for live in batch:
        prompt, own = live.request.prompt_tokens, max(live.request.output_tokens - 1, 0)
        written += prompt + own - own * (own + 1) / 2 / (steps + 1)
    ledger.hold(reserved * lasted_s, written * lasted_s)
    ledger.peak_share = max(ledger.peak_share, at_end / scenario.knobs.kv_budget_tokens)

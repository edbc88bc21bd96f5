"""Continuous batching: a scenario through the scheduler, and what comes out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from costaudit.ground.errors import InconclusiveError
from costaudit.whatif.latency import gaps_of
from costaudit.whatif.outcome import KvOutcome, Outcome
from costaudit.whatif.scenario import Batching
from costaudit.whatif.schedule import nobody_in_records, state_of
from costaudit.whatif.scheduler import compiled
from costaudit.whatif.scheduler.log import FULL
from costaudit.whatif.scheduler.seconds import SUMS
from costaudit.whatif.scheduler.state import Chunk, Machine, Step
from costaudit.whatif.steptime import TERMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costaudit.whatif.scenario import Scenario
    from costaudit.whatif.scheduler.state import State

# Requests of this process that are interpreted, at some 50 µs each. Loading the compiled code takes
# 0.6 s, which a plan of hundreds of scenarios repays; compiling it takes 15 s, as many do that.
INTERPRETED_REQUESTS = 3_000
INTERPRETED_BEFORE_COMPILING = 300_000

_interpreted = 0

_LOGGED = TypeVar("_LOGGED", Step, Chunk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Equal steps in a row, or one with prompt tokens in it.

    `chunks` are the prompt tokens, each with how many of its sequence's tokens were prefilled
    before for others.
    """

    steps: int
    decode_seqs: int
    decode_context_tokens: int
    live_seqs: int
    live_context_tokens: int
    padded: bool
    chunks: tuple[tuple[Chunk, int], ...]


def run(scenario: Scenario, *, perfect_prefix: bool, free_resume: bool) -> Outcome:
    """Serve the whole traffic on one replica.

    `perfect_prefix`: no shared prefix is computed twice. `free_resume`: a preempted sequence
    comes back with its cache, as if nothing had to be recomputed.

    Raises:
        InconclusiveError: a request can never be admitted.
    """
    in_records = use_compiled(len(scenario.traffic.requests))
    state = state_of(
        scenario, perfect_prefix=perfect_prefix, free_resume=free_resume, in_records=in_records
    )
    serve(entry_of(in_records=in_records), state, scenario)
    return outcome_of(state, scenario)


def serve(entry: compiled.Entry, state: State, scenario: Scenario) -> None:
    """The whole traffic under its batching."""
    match scenario.knobs.batching:
        case Batching.STATIC:
            entry.serve_static(state)
        case Batching.CONTINUOUS:
            entry.serve(state)
        case _:
            assert_never(scenario.knobs.batching)


def steps_taken(scenario: Scenario, *, free_resume: bool) -> Iterator[Taken]:
    """The steps of `run`, in their order.

    Raises:
        InconclusiveError: a request can never be admitted.
    """
    in_records = compiled.loaded()
    room = 8 * len(scenario.traffic.requests) + 64
    while True:
        state = state_of(
            scenario,
            perfect_prefix=False,
            free_resume=free_resume,
            in_records=in_records,
            log_room=room,
        )
        serve(entry_of(in_records=in_records), state, scenario)
        machine = machine_now(state)
        if machine.stuck != FULL:
            break
        room *= 4
    check(machine)
    first, chunks = 0, _logged(state.chunks, Chunk)
    repeated = _column(state.jobs, "repeated_tokens", None).astype(int).tolist()
    for step in _logged(state.steps[: machine.logged_steps], Step):
        yield Taken(
            steps=step.steps,
            decode_seqs=step.rows,
            decode_context_tokens=step.context_units // machine.unit,
            live_seqs=step.live_rows,
            live_context_tokens=step.live_units // machine.unit,
            padded=bool(step.padded),
            chunks=tuple((chunk, repeated[chunk.job]) for chunk in chunks[first : step.chunks]),
        )
        first = step.chunks


def use_compiled(requests: int) -> bool:
    """Whether so many more requests are worth the compiled scheduler; both say the same."""
    global _interpreted  # noqa: PLW0603 - a count of the whole process is the point
    if not compiled.available():
        return False
    if compiled.loaded():
        return True
    worth = _interpreted + requests
    if worth > INTERPRETED_BEFORE_COMPILING or (worth > INTERPRETED_REQUESTS and compiled.kept()):
        return True
    _interpreted = worth
    return False


def load_compiled() -> None:
    """Load the compiled scheduler, if this machine has it; `use_compiled` then finds it loaded."""
    if compiled.available() and compiled.kept():
        compiled.entry().serve(nobody_in_records())


def entry_of(*, in_records: bool) -> compiled.Entry:
    """The scheduler for states of this kind."""
    return compiled.entry() if in_records else compiled.INTERPRETED


def outcome_of(state: State, scenario: Scenario, served: Sequence[int] | None = None) -> Outcome:
    """What the requests (or those that this replica `served`, in order) came to.

    Raises:
        InconclusiveError: the scheduler could admit nobody.
    """
    m = machine_now(state)
    check(m)
    arrived, first, last, gap, tokens = (
        _column(state.jobs, name, served)
        for name in ("arrival_s", "first_s", "last_s", "longest_gap_s", "output_tokens")
    )
    several, outside_s = tokens > 1, scenario.step_time.request_s
    tpot = (last[several] - first[several]) / (tokens[several] - 1)
    terms = dict(zip(TERMS, (float(seconds) for seconds in state.seconds[SUMS:]), strict=True))
    busy = math.fsum(terms.values())
    return Outcome(
        prompt_tokens=int(m.admitted_tokens),
        output_tokens=int(m.output_tokens),
        requests=int(m.requests),
        steps=int(m.steps),
        window_s=busy + m.queue_idle_s + m.demand_idle_s,
        busy_s=busy,
        prefill_s=float(m.prefill_s),
        decode_s=max(busy - float(m.prefill_s), 0.0),
        queue_idle_s=m.queue_idle_s,
        demand_idle_s=float(m.demand_idle_s),
        padded_prefill_tokens=m.padded_tokens,
        padded_decode_rows=m.padded_rows,
        duplicate_prefill_tokens=int(m.duplicate_tokens),
        kv=_kv_outcome(m, scenario),
        ttft_s=tuple((first - arrived + outside_s).tolist()),
        tpot_s=tuple(tpot.tolist()),
        e2e_s=tuple((last - arrived + outside_s).tolist()),
        longest_gap_s=tuple(gap[several].tolist()),
        gaps=gaps_of(state.gaps, spread=scenario.step_time.gap_spread),
        busy_terms_s=terms,
        mixed_s=float(m.mixed_s),
        recompute_s=float(m.recompute_s),
    )


def check(machine: Machine) -> None:
    """Whether everybody was served.

    Raises:
        InconclusiveError: a request can never be admitted.
    """
    if machine.stuck:
        raise InconclusiveError(
            "a request waits that the engine can never admit",
            hint="give the KV cache more memory, or a larger token budget",
        )


def machine_now(state: State) -> Machine:
    """The machine as an object, whichever kind of state it stands in."""
    record: Any = state.machine
    if isinstance(record, Machine):
        return record
    return Machine(**dict(zip(record.dtype.names, record.item(), strict=True)))


def _logged(entries: Any, kind: type[_LOGGED]) -> list[_LOGGED]:
    """What was logged as objects, whichever kind of state it stands in."""
    import numpy as np

    if not isinstance(entries, np.ndarray):
        return list(entries)
    names = entries.dtype.names or ()
    return [kind(**dict(zip(names, entry, strict=True))) for entry in entries.tolist()]


def _column(jobs: Any, name: str, served: Sequence[int] | None) -> Any:
    import numpy as np

    if isinstance(jobs, np.ndarray):
        values = jobs[name]
    else:
        values = np.array([getattr(job, name) for job in jobs], dtype=float)
    return values if served is None else values[np.asarray(served, dtype=int)]


def _kv_outcome(m: Machine, scenario: Scenario) -> KvOutcome:
    peak_tokens = m.peak_tokens or (m.total_blocks - m.least_free) * m.block_tokens
    reserved = float(m.reserved_token_s)
    return KvOutcome(
        usage_peak_share=float(peak_tokens / scenario.knobs.kv_budget_tokens),
        waste_share=1 - float(m.written_token_s) / reserved if reserved else 0.0,
        preemptions=int(m.preemptions),
        recomputed_tokens=int(m.recomputed_tokens),
        prefix_hit_share=float(m.hit_tokens / max(m.admitted_tokens, 1)),
        max_concurrency=int(m.most_together),
    )

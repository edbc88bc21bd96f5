"""What the scheduler works on: requests, machine and step costs as plain numbers.

The same code runs over lists of these objects (interpreted) and over arrays of records with the
same fields (compiled), so the fields are whole numbers and floats only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

NONE = -1  # no job, no place


@dataclass(slots=True, kw_only=True)
class Job:
    """One request on its way; tokens, blocks and seconds. Fields of the queues name other jobs."""

    arrival_s: float = 0.0
    prompt_tokens: int = 0
    output_tokens: int = 0
    shareable_blocks: int = 0  # leading full blocks of the prompt that other requests have too
    first_start: int = 0  # where its blocks' nodes begin in `State.starts`
    batch: int = NONE  # static batches hold requests of one batch only
    due_s: float = 0.0  # when the front end hands it to the engine

    left_tokens: int = 0  # output tokens still to come
    cached_tokens: int = 0  # as of the moment it last joined or left the decoding rows
    target_tokens: int = 0  # cached before a prefill yields the next token
    lost_tokens: int = 0  # cached when it was preempted
    again_tokens: int = 0  # of those, still to be recomputed
    entered: int = 0  # 1 after its first admission
    repeated_tokens: int = 0  # prefilled before it came, for others
    redone_tokens: int = 0  # the most it had computed before any preemption

    held_blocks: int = 0
    held_nodes: int = 0  # leading ones of these, held as shared nodes
    share_until: int = 0  # blocks from here on are its own, whoever has the same
    idle_blocks: int = 0  # own blocks that it gave back and nobody has taken yet

    joined_at: int = 0  # step after which it became a decoding row
    ends_at: int = 0  # step after which it has all its tokens
    place: int = NONE  # in the heap of ends
    event: int = 0  # first event of which it saw the seconds
    older: int = NONE  # admitted just before it, and still there
    newer: int = NONE
    behind: int = NONE  # next in the line of fresh requests

    entered_s: float = 0.0
    entered_tokens: int = 0
    token_s: float = 0.0  # when it got its last token, as far as is written down
    first_s: float = -1.0  # before its first token
    last_s: float = 0.0
    longest_gap_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Machine:
    """The engine between two steps, its limits, and what has added up so far."""

    # limits
    jobs: int = 0
    concurrency: int = 0  # clients of a closed loop; 0: open
    think_s: float = 0.0  # of a client of a closed loop, between an answer and its next request
    front_s: float = 0.0  # of the front end for a request; it takes one after the other
    most_rows: int = 0
    full_rows: int = 0  # a static batch is full with; most_rows is no more than there are jobs
    batched_tokens: int = 0  # rows of a step; 0: no limit
    chunked: int = 1
    block_tokens: int = 1
    share_tokens: int = 1  # of a shareable block; the same where prefixes are cached
    total_blocks: int = 0
    watermark_blocks: int = 0
    kv_tokens: int = 0
    paged: int = 0
    promises: int = 0  # the final length is reserved on entry
    caching: int = 0
    perfect_prefix: int = 0
    free_resume: int = 0
    batch_wait_s: float = 0.0
    span: int = 1  # consecutive nodes behind each start
    nodes: int = 0
    # decoding: a row gains growth/unit tokens per step; a step computes `width` tokens per row
    growth: int = 1
    unit: int = 1
    width: int = 1
    lead: int = 0  # units by which a row's blocks run ahead of its tokens
    cycle: int = 1  # units of a block
    # now
    now_s: float = 0.0
    front_free_s: float = 0.0  # when the front end is done with all that came so far
    steps: int = 0
    running: int = 0
    context_units: int = 0
    partial: int = NONE  # the one prompt that is not computed to its end
    oldest: int = NONE
    newest: int = NONE
    returned: int = 0  # preempted jobs that wait
    fresh: int = NONE
    fresh_last: int = NONE
    arrived: int = 0  # static batching: requests up to here are there, those from `sent` on wait
    due: int = 0  # closed loop: requests up to here have their time of arrival
    sent: int = 0
    outstanding: int = 0
    ended_s: float = 0.0  # when the latest requests ended …
    ended: int = 0  # … and how many did
    free_blocks: int = 0  # idle cached ones included
    blank_blocks: int = 0  # of these, the ones that hold nothing
    promised: int = 0
    events: int = 0
    peaks: int = 0  # entries of the stack of gaps
    stuck: int = 0
    logging: int = 0
    logged_steps: int = 0
    logged_chunks: int = 0
    # the coming step
    budget: int = 0
    prompt_tokens: int = 0
    prompt_pairs: int = 0
    prompts: int = 0
    again_tokens: int = 0
    ready: int = 0
    longest_s: float = 0.0  # step of the last run
    columns: int = 0  # of a static batch: its longest prompt
    last_step: int = 0  # and its last decode step
    # sums
    prefill_s: float = 0.0
    mixed_s: float = 0.0
    recompute_s: float = 0.0
    demand_idle_s: float = 0.0
    queue_idle_s: float = 0.0
    requests: int = 0
    admitted_tokens: int = 0
    output_tokens: int = 0
    hit_tokens: int = 0
    duplicate_tokens: int = 0
    preemptions: int = 0
    recomputed_tokens: int = 0
    most_together: int = 0
    least_free: int = 0
    peak_tokens: int = 0
    padded_tokens: int = 0
    padded_rows: int = 0
    reserved_token_s: float = 0.0
    written_token_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Rates:
    """A step time as numbers; seconds at the peaks are ideal, `_cost` multiplies them.

    Attributes:
        routed_miss_share: chance that one row leaves a routed expert alone.
        cache_copies: devices that read a copy of the cache.
        cache_s, seen_flops_s: per token seen and layer.
        stages: of the pipeline; each works on its own part of a step's load.
        draft_share: of a plain decode step, what drafting costs per step.
    """

    overhead_s: float = 0.0
    sequence_s: float = 0.0
    together_s: float = 0.0  # of a step with many rows; see `form`
    entry_s: float = 0.0  # more of it for a prompt
    weights_s: float = 0.0
    routed_weights_s: float = 0.0
    routed_miss_share: float = 0.0
    weights_cost: float = 0.0
    gemm_cost: float = 0.0
    cache_s: float = 0.0
    cache_copies: float = 1.0
    cache_cost: float = 0.0
    row_flops_s: float = 0.0
    seen_flops_s: float = 0.0
    decode_cost: float = 0.0
    prompt_token_s: float = 0.0
    prompt_s: float = 0.0
    pair_s: float = 0.0
    prefill_cost: float = 0.0
    attention_cost: float = 0.0
    cache_write_s: float = 0.0
    link_row_s: float = 0.0
    link_step_s: float = 0.0
    stages: float = 1.0
    draft_share: float = 0.0
    ideal: float = 0.0  # 1: kernels at the roofline
    width: float = 1.0  # tokens that a step computes of each decoding row …
    gain: float = 1.0  # … and tokens by which it grows


@dataclass(slots=True, kw_only=True)
class Row:
    """One place in each of the lists that are no longer than the rows of a step."""

    end: int = 0  # heap of the decoding rows: ends_at · jobs + job
    returned: int = 0  # preempted jobs, the next one last
    ready: int = 0  # prompts that the coming step completes
    peak_event: int = 0  # first event of a stretch …
    peak_s: float = 0.0  # … and the longest step since


@dataclass(slots=True, kw_only=True)
class Entry:
    """A shared block (node) or a job's own blocks; linked while idle, least recently used first."""

    before: int = 0
    after: int = 0
    refs: int = NONE  # of a node: rows that hold it, 0 idle in the cache, -1 not there
    seen: int = 0  # of a node: 1 once anybody had it prefilled


@dataclass(slots=True, kw_only=True)
class Step:
    """One entry of the log: equal steps in a row, or one with prompt tokens in it."""

    steps: int = 0
    rows: int = 0
    context_units: int = 0
    live_rows: int = 0  # without those that are padding
    live_units: int = 0
    padded: int = 0  # are its prompts padded to one length?
    chunks: int = 0  # logged up to and including this step


@dataclass(slots=True, kw_only=True)
class Chunk:
    """Positions of a sequence that one logged step computes as prompt tokens."""

    job: int = 0
    start: int = 0
    end: int = 0
    redone_tokens: int = 0  # below this they were computed before a preemption


@dataclass(slots=True, kw_only=True)
class Window:
    """How many layers see how many tokens."""

    tokens: float = 0.0
    layers: float = 0.0


class State(NamedTuple):
    """Everything, as one argument."""

    machine: Machine
    rates: Rates
    jobs: Sequence[Job]
    rows: Sequence[Row]
    entries: Sequence[Entry]  # nodes, jobs, and the two ends of the queue of idle ones
    starts: Sequence[int]  # nodes at which each request's shared blocks start
    phases: MutableSequence[int]  # binary indexed tree: rows by their place within a block
    gaps: MutableSequence[int]  # between tokens, counted by size
    windows: Sequence[Window]
    seconds: MutableSequence[float]  # sums by TERMS, and scratch: see `seconds`
    steps: Sequence[Step]
    chunks: Sequence[Chunk]

"""Hooks on a live model: times each forward call and puts runs of equal steps into one row."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from costaudit.record.calls import Call, read_call
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.recording.rows import Phase, RequestRow, Role, Sample
from costaudit.target.load import StepLoad, prefill_load

if TYPE_CHECKING:
    from costaudit.record.engines.clock import Clock

STEPS_PER_ROW = 64  # a row holds a run of at most so many steps: contexts in it stay alike
GAPS_KEPT = 20_000  # times between tokens, a fair sample of all that were seen

Sink = Callable[[Sequence[Sample | RequestRow]], None]


@dataclass(slots=True)
class _Batch:
    """One batch from its first prefill on: what its rows will say when it ends."""

    number: int
    call: Call
    rows: int = 0
    prefill_s: float = 0.0
    token_s: list[float] = field(default_factory=list)  # device seconds until each token was there
    prompts: Any = None  # tokens per sequence, a tensor where a mask tells them
    live: Any = None  # decoded tokens per sequence that are no padding
    last: Any = None  # is the last token fed no padding?


@dataclass(slots=True)
class _Run:
    """Consecutive equal steps of one batch that will be one row."""

    phase: Phase
    seqs: int
    began: float
    new_tokens: int
    cached: list[int] = field(default_factory=list)  # per sequence, before each step
    marks: list[tuple[Any, Any]] = field(default_factory=list)
    fed: list[Any] = field(default_factory=list)  # token ids of decode steps, until counted
    ended: float = 0.0


class Watcher:
    """Sits on one model between `open` and `close`; never touches inputs or outputs.

    Each calling thread has its own batch; rows of several threads share one `sink`.
    """

    def __init__(
        self,
        model: Any,
        *,
        clock: Clock,
        pad_id: int | None,
        sink: Sink,
        clock_s: Callable[[], float],
    ) -> None:
        self.gaps_s: list[float] = []
        self.gaps_seen = 0
        self._model, self._clock, self._pad_id = model, clock, pad_id
        self._sink, self._clock_s = sink, clock_s
        self._own = threading.local()
        self._lock = threading.Lock()
        self._states: list[_State] = []
        self._batches = 0
        self._handles: list[Any] = []
        self._random = random.Random(0)

    def open(self) -> None:
        """Set the hooks; the second one runs even when the model raises."""
        self._handles = [
            self._model.register_forward_pre_hook(self._before, with_kwargs=True),
            self._model.register_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]

    def close(self) -> None:
        """Remove the hooks, then write down what is still open."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        for state in self._states:
            self._end_batch(state)

    # -- hooks: they return None, so that arguments and outputs stay as they are ------------------

    def _before(self, _module: Any, args: Any, kwargs: Any) -> None:
        state = self._state()
        state.call = read_call(args, kwargs)
        if state.call is None:
            return
        call = state.call
        if not _continues(state.batch, state.run, call):
            self._end_batch(state)
            state.batch = self._new_batch(call)
        elif state.run is not None and not _same_run(state.run, call):
            self._end_run(state)
        if state.run is None:
            state.run = _Run(
                phase=call.phase,
                seqs=call.seqs,
                new_tokens=call.new_tokens,
                began=time.perf_counter(),
            )
        state.ranges.push(call.phase, call.seqs * call.new_tokens)
        state.start = self._clock.mark()

    def _after(self, _module: Any, _args: Any, _kwargs: Any, output: Any) -> None:
        state = self._state()
        call, state.call = state.call, None
        if call is None or state.run is None or state.batch is None:
            return
        end = self._clock.mark()
        state.ranges.pop()
        if output is None:  # the model raised: nothing was computed to the end
            return
        state.run.marks.append((state.start, end))
        state.run.cached.append(call.cached_tokens)
        state.run.ended = time.perf_counter()
        self._keep_tokens(state.batch, state.run, call)
        if len(state.run.marks) >= STEPS_PER_ROW:
            self._end_run(state)

    # -- batches ----------------------------------------------------------------------------------

    def _state(self) -> _State:
        state: _State | None = getattr(self._own, "state", None)
        if state is None:
            state = _State(ranges=PhaseRanges())
            self._own.state = state
            with self._lock:
                self._states.append(state)
        return state

    def _new_batch(self, call: Call) -> _Batch:
        with self._lock:
            number, self._batches = self._batches, self._batches + 1
        return _Batch(number=number, call=call)

    def _keep_tokens(self, batch: _Batch, run: _Run, call: Call) -> None:
        """Keep what tells tokens from padding, as cheaply as can be: a run counts when it ends."""
        if call.phase is Phase.PREFILL:
            batch.prompts = None if call.mask is None else call.mask.sum(dim=-1)
            batch.call = call
        elif self._pad_id is not None and call.ids is not None:
            run.fed.append(call.ids.clone())  # the program may fill the same tensor again

    def _count_tokens(self, batch: _Batch, run: _Run) -> None:
        """Count what is no padding; the counts are read only when the batch has ended."""
        if not run.fed or self._pad_id is None:
            return
        import torch

        fed = torch.cat(run.fed, dim=1).ne(self._pad_id)
        counted = fed.sum(dim=1)
        batch.live = counted if batch.live is None else batch.live + counted
        batch.last = fed[:, -1]

    def _end_run(self, state: _State) -> None:
        run, state.run = state.run, None
        batch = state.batch
        if run is None or batch is None or not run.marks:
            return
        times = [self._clock.seconds(start, end)[0] for start, end in run.marks]
        for seconds in times:
            self._add_time(batch, run.phase, seconds)
        self._count_tokens(batch, run)
        row = _sample(run, batch, times, self._clock.name, self._clock_s())
        batch.rows += 1
        self._sink([row])

    def _add_time(self, batch: _Batch, phase: Phase, seconds: float) -> None:
        if phase is Phase.PREFILL:
            batch.prefill_s += seconds
            batch.token_s = [batch.prefill_s]
            return
        batch.token_s.append((batch.token_s[-1] if batch.token_s else 0.0) + seconds)
        self.gaps_seen += 1
        if len(self.gaps_s) < GAPS_KEPT:
            self.gaps_s.append(seconds)
        elif (place := self._random.randrange(self.gaps_seen)) < GAPS_KEPT:
            self.gaps_s[place] = seconds

    def _end_batch(self, state: _State) -> None:
        self._end_run(state)
        batch, state.batch = state.batch, None
        if batch is not None and batch.token_s:
            self._sink(_requests(batch))


@dataclass(slots=True)
class _State:
    """What one thread is doing."""

    ranges: PhaseRanges
    call: Call | None = None
    batch: _Batch | None = None
    run: _Run | None = None
    start: Any = None


def _continues(batch: _Batch | None, run: _Run | None, call: Call) -> bool:
    """Does this call go on with the batch?

    A decode step does when rows and cache are the same; a further prefill only as the next chunk
    of one prompt: behind a filled cache, with no decode step since.
    """
    if batch is None or (batch.call.seqs, batch.call.cache) != (call.seqs, call.cache):
        # The first prefill may come without a cache object, which the model then makes.
        made = batch is not None and batch.call.cache == 0 and batch.call.seqs == call.seqs
        if not made or call.phase is Phase.PREFILL:
            return False
    if call.phase is Phase.DECODE:
        return True
    decoded = batch is not None and (len(batch.token_s) > 1 or batch.live is not None)
    decoding = run is not None and run.phase is Phase.DECODE
    return call.cached_tokens > 0 and not decoded and not decoding


def _same_run(run: _Run, call: Call) -> bool:
    return run.phase is Phase.DECODE and call.phase is Phase.DECODE and run.seqs == call.seqs


def _sample(run: _Run, batch: _Batch, times: Sequence[float], clock: str, now_s: float) -> Sample:
    wall_s = run.ended - run.began
    load = _summed_load(run)
    return Sample(
        task=f"attached-{batch.number}/{batch.rows}",
        role=Role.ATTACHED,
        phase=run.phase,
        round=0,
        t_s=max(0.0, now_s - wall_s),
        seconds=sum(times),
        wall_s=wall_s,
        clock=clock,
        steps=len(times),
        prefill_tokens=load.prefill_tokens,
        prefill_pairs=load.prefill_pairs,
        prefill_seqs=load.prefill_seqs,
        decode_seqs=load.decode_seqs,
        decode_context_tokens=load.decode_context_tokens,
    )


def _summed_load(run: _Run) -> StepLoad:
    """The load as it was computed, padding included: one prefill, or all decode steps together."""
    if run.phase is Phase.PREFILL:
        return prefill_load(new_tokens=run.new_tokens, cached_tokens=run.cached[0], seqs=run.seqs)
    return StepLoad(
        decode_seqs=run.seqs * len(run.cached), decode_context_tokens=run.seqs * sum(run.cached)
    )


def _requests(batch: _Batch) -> list[RequestRow]:
    """One row per sequence; lengths without padding where mask and padding token tell them."""
    call, most = batch.call, len(batch.token_s)
    whole = call.cached_tokens + (call.new_tokens if call.phase is Phase.PREFILL else 0)
    prompts = [whole] * call.seqs if batch.prompts is None else batch.prompts.tolist()
    outputs = [most] * call.seqs
    if batch.live is not None:  # the last token of a row that lived to the end is never fed
        pairs = zip(batch.live.tolist(), batch.last.tolist(), strict=True)
        outputs = [max(1, min(most, int(fed) + int(alive))) for fed, alive in pairs]
    return [
        RequestRow(
            task=f"attached-{batch.number}",
            batch=batch.number,
            prompt_tokens=int(prompt),
            output_tokens=output,
            prefix_id=None,
            prefix_tokens=0,
            ttft_s=batch.prefill_s or None,
            e2e_s=batch.token_s[output - 1],
        )
        for prompt, output in zip(prompts, outputs, strict=True)
    ]

"""Keeps the steps of a simulated window, with what each request brought into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from costaudit.bill.steps_run import Chunk, StepRun
from costaudit.whatif.continuous import run_continuous
from costaudit.whatif.ledger import Ledger
from costaudit.whatif.scenario import Batching
from costaudit.whatif.static_batching import run_static

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.target.load import StepLoad
    from costaudit.whatif.line import Live
    from costaudit.whatif.scenario import Scenario


def steps_of(scenario: Scenario, *, free_resume: bool = False) -> tuple[StepRun, ...]:
    """The steps of a scenario that can be simulated, in their order.

    `free_resume`: a preempted sequence comes back with its cache; for prompts computed whole.
    """
    block_tokens = scenario.knobs.kv_block_tokens
    match scenario.knobs.batching:
        case Batching.STATIC:
            batches = _BatchLog(block_tokens=block_tokens)
            run_static(scenario, batches, perfect_prefix=False)
            return tuple(batches.runs)
        case Batching.CONTINUOUS:
            mixed = _MixedLog(block_tokens=block_tokens)
            run_continuous(scenario, mixed, perfect_prefix=False, free_resume=free_resume)
            return tuple(mixed.runs)
        case _:
            assert_never(scenario.knobs.batching)


@dataclass(kw_only=True)
class _BatchLog(Ledger):
    """Static batches: all rows enter, one prefill, then decode to the end of the longest."""

    runs: list[StepRun] = field(default_factory=list)
    batch: list[Live] = field(default_factory=list)
    entering: list[tuple[Live, Chunk]] = field(default_factory=list)
    done: int = 0  # decode steps of this batch

    def admit(self, live: Live, *, hit: int, repeated: int) -> None:
        """Note the row's own prompt tokens."""
        super().admit(live, hit=hit, repeated=repeated)
        chunk = Chunk(start=hit, end=live.request.prompt_tokens, repeated=repeated)
        self.entering.append((live, chunk))

    def spend(self, terms: Mapping[str, float], load: StepLoad, steps: int) -> float:
        """Note the step with the rows that still want a token."""
        if load.prefill_tokens:
            self.batch, self.done = [live for live, _ in self.entering], 0
            chunks = tuple(chunk for _, chunk in self.entering)
            self.runs.append(StepRun(steps=steps, chunks=chunks, padded=True))
            self.entering = []
        else:
            ends = ((live.request.prompt_tokens, live.request.output_tokens) for live in self.batch)
            live = [prompt for prompt, output in ends if output - 1 > self.done]
            self.runs.append(
                StepRun(
                    steps=steps,
                    decode_seqs=int(load.decode_seqs),
                    decode_context_tokens=int(load.decode_context_tokens),
                    live_seqs=len(live),
                    live_context_tokens=sum(live) + self.done * len(live),
                )
            )
            self.done += steps
        return super().spend(terms, load, steps)


@dataclass(kw_only=True)
class _MixedLog(Ledger):
    """Continuous batching: chunks of prompts beside decoding rows.

    A step's prompt tokens go to the sequences in the order in which they entered, to each as many
    as it lacks: that tells the chunks from their sum.
    """

    runs: list[StepRun] = field(default_factory=list)
    filling: list[Live] = field(default_factory=list)  # in the order in which they entered
    repeated: dict[int, int] = field(default_factory=dict)  # by order, as of the first entry
    redone: dict[int, int] = field(default_factory=dict)  # as far as it was ever computed

    def served_before(self, live: Live) -> int:
        """Note an entry, the first one or one after a preemption."""
        before = super().served_before(live)
        self.repeated.setdefault(live.order, before)
        self.redone[live.order] = max(live.lost, self.redone.get(live.order, 0))
        self.filling = [other for other in self.filling if other is not live] + [live]
        return before

    def spend(self, terms: Mapping[str, float], load: StepLoad, steps: int) -> float:
        """Note the step; nothing that decodes here is padding."""
        seqs, context = int(load.decode_seqs), int(load.decode_context_tokens)
        self.runs.append(
            StepRun(
                steps=steps,
                chunks=self._chunks(int(load.prefill_tokens)) if load.prefill_tokens else (),
                decode_seqs=seqs,
                decode_context_tokens=context,
                live_seqs=seqs,
                live_context_tokens=context,
            )
        )
        return super().spend(terms, load, steps)

    def _chunks(self, tokens: int) -> tuple[Chunk, ...]:
        # A preempted sequence holds no blocks until it enters again.
        self.filling = [v for v in self.filling if v.own_blocks and v.cached < v.target]
        chunks = []
        for live in self.filling:
            end = live.cached + min(live.target - live.cached, tokens)
            tokens -= end - live.cached
            if end > live.cached:
                chunks.append(
                    Chunk(
                        start=live.cached,
                        end=end,
                        repeated=self.repeated[live.order],
                        redone=self.redone[live.order],
                    )
                )
        return tuple(chunks)

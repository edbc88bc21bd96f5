"""The steps of a simulated window, with what each request brought into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.bill.steps_run import Chunk, StepRun
from costaudit.whatif.serving import steps_taken

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario
    from costaudit.whatif.serving import Taken


def steps_of(scenario: Scenario, *, free_resume: bool = False) -> tuple[StepRun, ...]:
    """The steps of a scenario that can be simulated, in their order.

    `free_resume`: a preempted sequence comes back with its cache; for prompts computed whole.
    """
    return tuple(map(_step_run, steps_taken(scenario, free_resume=free_resume)))


def _step_run(taken: Taken) -> StepRun:
    return StepRun(
        steps=taken.steps,
        chunks=tuple(
            Chunk(start=chunk.start, end=chunk.end, repeated=repeated, redone=chunk.redone_tokens)
            for chunk, repeated in taken.chunks
        ),
        padded=taken.padded and bool(taken.chunks),
        decode_seqs=taken.decode_seqs,
        decode_context_tokens=taken.decode_context_tokens,
        live_seqs=taken.live_seqs,
        live_context_tokens=taken.live_context_tokens,
    )

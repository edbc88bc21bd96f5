"""Timed steps of a recording, reduced: the minimum over interleaved rounds, with its spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.recording.rows import Phase, Role, Sample
from costaudit.target.load import StepLoad

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ATTACHED_HELD_OUT_EVERY = 4  # of the rows seen in a user's program, one in four judges


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedLoad:
    """One load and the device seconds that a step of it took.

    Noise only ever adds time, so the minimum over the rounds is the estimate; `spread_share` is
    how far the median round lies above it.
    """

    task: str
    phase: Phase
    load: StepLoad
    seconds: float
    spread_share: float
    rounds: int
    held_out: bool
    requests: int = 0  # whose time outside the steps is in `seconds`: 1 where it is a TTFT


def load_of(sample: Sample) -> StepLoad:
    """The load of a sample."""
    return StepLoad(
        prefill_tokens=sample.prefill_tokens,
        prefill_pairs=sample.prefill_pairs,
        prefill_seqs=sample.prefill_seqs,
        decode_seqs=sample.decode_seqs,
        decode_context_tokens=sample.decode_context_tokens,
    )


def reduce_rounds(samples: Iterable[Sample]) -> tuple[TimedLoad, ...]:
    """One row per task, phase and load, in the order first seen."""
    groups: dict[tuple[str, Phase, StepLoad], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.task, sample.phase, load_of(sample)), []).append(sample)
    return tuple(_reduce(group) for group in groups.values())


def thinned(steps: Sequence[TimedLoad], most: int) -> tuple[TimedLoad, ...]:
    """About `most` of the steps, spread evenly; those that judge stay as many in proportion."""
    every = max(1, round(len(steps) / most))
    if every == 1:
        return tuple(steps)
    parts = ([step for step in steps if step.held_out is judges] for judges in (False, True))
    return tuple(step for part in parts for step in part[::every])


def attached_steps(samples: Sequence[Sample]) -> tuple[TimedLoad, ...]:
    """Steps seen in a user's own program; each row holds the sums over its `steps`.

    Nobody designed these loads, so every fourth row is set aside to judge the fit.
    """
    return tuple(
        TimedLoad(
            task=sample.task,
            phase=sample.phase,
            load=_per_step(sample),
            seconds=sample.seconds / sample.steps,
            spread_share=0.0,
            rounds=1,
            held_out=place % ATTACHED_HELD_OUT_EVERY == ATTACHED_HELD_OUT_EVERY - 1,
        )
        for place, sample in enumerate(samples)
    )


def _per_step(sample: Sample) -> StepLoad:
    load, steps = load_of(sample), sample.steps
    return StepLoad(
        prefill_tokens=load.prefill_tokens / steps,
        prefill_pairs=load.prefill_pairs / steps,
        prefill_seqs=load.prefill_seqs / steps,
        decode_seqs=load.decode_seqs / steps,
        decode_context_tokens=load.decode_context_tokens / steps,
    )


def _reduce(group: list[Sample]) -> TimedLoad:
    times = [s.seconds for s in group]
    best = min(times)
    return TimedLoad(
        task=group[0].task,
        phase=group[0].phase,
        load=load_of(group[0]),
        seconds=best,
        spread_share=median(times) / best - 1 if best > 0 else 0.0,
        rounds=len(group),
        held_out=group[0].role is Role.HELD_OUT,
    )
